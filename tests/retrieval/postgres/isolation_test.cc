// One tenant never sees another's chunk, whatever both do.
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "tests/retrieval/postgres/retrieval_fixture.h"

namespace floe::retrieval {
namespace {

TEST_F(RetrievalTest, AnotherTeamsCollectionIsNotThere) {
  Create("handbook", "nlp");
  ASSERT_TRUE(Store("handbook", {Text("a", "Secret words.")}).ok());
  const CollectionName name = Name("handbook", "nlp");
  const Caller stranger = As("shop");
  const auto is_hidden = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kNotFound;
  };
  EXPECT_TRUE(is_hidden(search_->Run(stranger, name, "secret", 5).status()));
  EXPECT_TRUE(is_hidden(ingest_->Run(stranger, {}, name, {Text("b", "Planted.")}, GoOn).status()));
  EXPECT_TRUE(is_hidden(manage_->Delete(stranger, {}, name)));
  CollectionPatch patch;
  patch.description = "mine";
  EXPECT_TRUE(is_hidden(manage_->Update(stranger, {}, name, patch).status()));
  EXPECT_TRUE(is_hidden(manage_->Create(stranger, {}, {name, "", "hamlet", 0, 0, ""}).status()));
  // And by the same words as one that does not exist at all.
  EXPECT_EQ(std::string(search_->Run(stranger, Name("none", "nlp"), "x", 5).status().message())
                .substr(0, 11),
            std::string(search_->Run(stranger, name, "x", 5).status().message()).substr(0, 11));
}

// The repositories themselves, given another team's rows by number.
TEST_F(RetrievalTest, QueriesAreScopedByTeamEvenWhenTheRowsAreKnown) {
  Create("handbook", "nlp");
  ASSERT_TRUE(Store("handbook", {Text("a", "Secret words.")}).ok());
  Collection forged = *collections_->Get(Name("handbook", "nlp"));
  forged.name.team = "shop";
  EXPECT_TRUE(tables_->RankByText(forged, "secret", 10)->empty());
  EXPECT_TRUE(documents_->Find(forged, {"a"})->empty());
  const std::vector<int64_t> ids = tables_->State(Name("handbook", "nlp"))->chunk_ids;
  ASSERT_FALSE(ids.empty());
  EXPECT_TRUE(tables_->Load(forged, ids)->empty());
  EXPECT_TRUE(tables_->Vectors(forged.name, ids)->empty());
}

TEST_F(RetrievalTest, TheDatabaseItselfKeepsRowsWithTheirTeam) {
  Create("handbook", "nlp");
  ASSERT_TRUE(Store("handbook", {Text("a", "Secret words.")}).ok());
  const absl::Status moved = pool_->Transaction([](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec("UPDATE retrieval.chunks SET team = 'shop'");
    return absl::OkStatus();
  });
  EXPECT_EQ(moved.code(), absl::StatusCode::kFailedPrecondition);
}

// Three teams with collections of the same names, random changes and random searches: every passage
// bears its team's mark and stands in a document that the team has now.
TEST_F(RetrievalTest, RandomTeamsNeverSeeEachOthersChunks) {
  const std::vector<std::string> teams = {"alpha", "beta", "gamma"};
  const std::vector<std::string> ids = {"one", "two"};
  std::mt19937 random(11);
  std::map<std::string, std::map<std::string, std::string>>
      contents;  // team/collection → id → text
  for (const auto& team : teams) {
    for (const auto& id : ids) Create(id, team);
  }
  const auto word = [&] { return absl::StrCat("word", random() % 12); };
  for (int round = 0; round < 150; ++round) {
    const std::string& team = teams[random() % teams.size()];
    const std::string& id = ids[random() % ids.size()];
    auto& known = contents[absl::StrCat(team, "/", id)];
    const std::string document = absl::StrCat("d", random() % 4);
    switch (random() % 5) {
      case 0:
        if (known.erase(document) > 0) {
          ASSERT_TRUE(documents_->Delete({}, {Name(id, team), document}, clock_.Now()).ok());
        }
        break;
      case 1:
      case 2: {
        std::string text;
        for (int i = 0; i < 1 + static_cast<int>(random() % 4); ++i) {
          absl::StrAppend(&text, "Of ", team, id, ": ", word(), " and ", word(), ". ");
        }
        ASSERT_TRUE(Store(id, {Text(document, text)}, team).ok());
        known[document] = text;
        break;
      }
      default: {
        const std::string query =
            absl::StrCat(word(), " ", word(), " ", teams[random() % teams.size()], "one");
        const auto passages = Find(id, query, 20, team);
        if (known.empty()) {
          EXPECT_TRUE(passages.empty());
        }
        for (const Passage& passage : passages) {
          ASSERT_EQ(passage.document.collection, Name(id, team));
          ASSERT_TRUE(known.contains(passage.document.id)) << passage.document.id;
          ASSERT_EQ(known[passage.document.id].substr(passage.chunk.begin,
                                                      passage.chunk.end - passage.chunk.begin),
                    passage.chunk.text);
        }
      }
    }
  }
  EXPECT_EQ(Orphans(), 0);
}

}  // namespace
}  // namespace floe::retrieval
