// Documents come, are replaced and go: exactly, with nothing left behind.
#include <random>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/sha256.h"
#include "retrieval/hnsw/hnsw_index.h"
#include "tests/retrieval/postgres/retrieval_fixture.h"

namespace floe::retrieval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(RetrievalTest, ADocumentIsStoredWithItsChunksAndItsBytes) {
  Create("handbook");
  const std::string content = "The dog barks at night. The cat sleeps all day. Nobody knows why.";
  const auto stored = Store("handbook", {Text("animals", content, "Animals")});
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_THAT(stored->documents, SizeIs(1));
  const Document& document = stored->documents[0];
  EXPECT_EQ(ToString(document.name), "teams/nlp/collections/handbook/documents/animals");
  EXPECT_EQ(document.digest, Sha256::Hex(content));
  EXPECT_EQ(document.size_bytes, static_cast<int64_t>(content.size()));
  const auto chunks = documents_->ListChunks(document.name, {1, ""});
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(document.chunks, 2);
  EXPECT_THAT(chunks->items, SizeIs(1));
  const auto rest = documents_->ListChunks(document.name, {1, chunks->next});
  ASSERT_THAT(rest->items, SizeIs(1));
  EXPECT_EQ(rest->next, "");
  for (const Chunk& chunk : chunks->items) {
    const auto piece = documents_->Read(document.name, chunk.begin, chunk.end);
    ASSERT_TRUE(piece.ok());
    EXPECT_EQ(piece->bytes, chunk.text);
    EXPECT_EQ(piece->digest, document.digest);
  }
  EXPECT_EQ(documents_->Read(document.name, 0, 0)->bytes, content);
  EXPECT_EQ(documents_->Read(document.name, 60, 0)->bytes, content.substr(60));
  EXPECT_EQ(documents_->Read(document.name, 60, 9999).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(documents_->Read(document.name, 5, 4).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(RetrievalTest, ReplacingLeavesNoOldChunkAndNoOldVector) {
  Create("handbook");
  ASSERT_TRUE(Store("handbook", {Text("a", "Zebras graze. Lions hunt. Giraffes reach high leaves."),
                                 Text("b", "Submarines dive.")})
                  .ok());
  ASSERT_FALSE(Find("handbook", "zebras").empty());
  const auto before = Nearest("handbook", "zebras graze");
  ASSERT_TRUE(Store("handbook", {Text("a", "Rockets fly.")}).ok());
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks"), 2);
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks WHERE text LIKE '%Zebra%'"), 0);
  EXPECT_EQ(Orphans(), 0);
  const auto passages = Find("handbook", "zebras lions giraffes");
  for (const Passage& passage : passages) EXPECT_EQ(passage.text_rank, 0) << passage.chunk.text;
  // Memory follows: two vectors, and none of those before but b's.
  const auto after = Nearest("handbook", "zebras graze");
  EXPECT_THAT(after, SizeIs(2));
  EXPECT_EQ(indexes_->vectors(), 2u);
  int kept = 0;
  for (const Neighbour& a : after) {
    for (const Neighbour& b : before) kept += a.id == b.id;
  }
  EXPECT_EQ(kept, 1);
}

TEST_F(RetrievalTest, TheSameBytesAreNotEmbeddedAgain) {
  Create("handbook");
  ASSERT_TRUE(Store("handbook", {Text("a", "One."), Text("b", "Two.")}).ok());
  const int64_t embedded = embedder_.sequences();
  const auto again = Store("handbook", {Text("a", "One."), Text("b", "Two!")});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->unchanged, 1);
  EXPECT_EQ(embedder_.sequences(), embedded + 1);
  EXPECT_EQ(Store("handbook", {Text("a", "One.", "A title")})->unchanged, 0)
      << "another title is another document";
}

TEST_F(RetrievalTest, DeletingIsExact) {
  Create("handbook");
  ASSERT_TRUE(Store("handbook", {Text("a", "Zebras graze."), Text("b", "Submarines dive.")}).ok());
  const DocumentName name{Name("handbook"), "a"};
  ASSERT_TRUE(documents_->Delete({}, name, clock_.Now()).ok());
  EXPECT_EQ(documents_->Delete({}, name, clock_.Now()).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(documents_->Get(name).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(documents_->Read(name, 0, 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks"), 1);
  EXPECT_THAT(Nearest("handbook", "zebras graze"), SizeIs(1));
  const auto passages = Find("handbook", "zebras");
  ASSERT_THAT(passages, SizeIs(1));
  EXPECT_EQ(passages[0].document.id, "b");

  ASSERT_TRUE(manage_->Delete(As("nlp"), {}, Name("handbook")).ok());
  EXPECT_EQ(Count("SELECT (SELECT count(*) FROM retrieval.chunks) + "
                  "(SELECT count(*) FROM retrieval.documents)"),
            0);
  EXPECT_EQ(search_->Run(As("nlp"), Name("handbook"), "zebras", 5).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(RetrievalTest, ACollectionMadeAgainHasNothingOfTheFormerOne) {
  Create("handbook");
  ASSERT_TRUE(Store("handbook", {Text("a", "Zebras graze.")}).ok());
  ASSERT_THAT(Find("handbook", "zebras"), SizeIs(1));
  ASSERT_TRUE(manage_->Delete(As("nlp"), {}, Name("handbook")).ok());
  Create("handbook");
  EXPECT_THAT(Find("handbook", "zebras"), IsEmpty());
}

TEST_F(RetrievalTest, AllDocumentsOfACallAreStoredOrNone) {
  Create("handbook");
  embedder_.SetStatus(absl::UnavailableError("no worker"));
  EXPECT_EQ(Store("handbook", {Text("a", "One.")}).status().code(), absl::StatusCode::kUnavailable);
  embedder_.SetStatus(absl::OkStatus());
  const auto bad = Store("handbook", {Text("a", "One."), Text("b", "  ")});
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("document b has no text"));
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.documents"), 0);
  // Given up between two pieces of the work.
  const auto given_up = ingest_->Run(As("nlp"), {}, Name("handbook"), {Text("a", "One.")},
                                     [] { return absl::CancelledError("the caller left"); });
  EXPECT_EQ(given_up.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.documents"), 0);
}

TEST_F(RetrievalTest, WhatCannotBeStoredIsNamed) {
  Create("handbook");
  const auto message = [&](std::vector<NewDocument> documents) {
    const auto stored = Store("handbook", std::move(documents));
    EXPECT_EQ(stored.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(stored.status().message());
  };
  EXPECT_THAT(message({}), HasSubstr("documents has 0 entries"));
  EXPECT_THAT(message({Text("A!", "x")}), HasSubstr("document_id is 'A!'"));
  EXPECT_THAT(message({Text("a", "x"), Text("a", "y")}), HasSubstr("a is there twice"));
  EXPECT_THAT(message({Text("a", "x\xff")}), HasSubstr("offset 1 is not UTF-8"));
  EXPECT_THAT(message({Text("a", std::string("x\0y", 3))}), HasSubstr("offset 1 is NUL"));
  EXPECT_THAT(message({Text("a", std::string(kMaxDocumentBytes + 1, 'x'))}), HasSubstr("at most"));
  EXPECT_EQ(Store("nothing", {Text("a", "x")}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RetrievalTest, ARepeatedRequestUndoesNothing) {
  Create("handbook");
  const RequestKey first{"r1", "IngestDocuments", "f1"};
  ASSERT_TRUE(Store("handbook", {Text("a", "Old.")}, "nlp", first).ok());
  ASSERT_TRUE(Store("handbook", {Text("a", "New.")}).ok());
  const auto again = Store("handbook", {Text("a", "Old.")}, "nlp", first);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(documents_->Read({Name("handbook"), "a"}, 0, 0)->bytes, "New.");
  // Also when the first one changed nothing.
  const RequestKey idle{"r2", "IngestDocuments", "f2"};
  ASSERT_EQ(Store("handbook", {Text("a", "New.")}, "nlp", idle)->unchanged, 1);
  ASSERT_TRUE(Store("handbook", {Text("a", "Newest.")}).ok());
  ASSERT_TRUE(Store("handbook", {Text("a", "New.")}, "nlp", idle).ok());
  EXPECT_EQ(documents_->Read({Name("handbook"), "a"}, 0, 0)->bytes, "Newest.");
  const auto other =
      Store("handbook", {Text("a", "Other.")}, "nlp", {"r1", "IngestDocuments", "x"});
  EXPECT_EQ(ReasonOf(other.status())->reason, "REQUEST_ID_REUSED");
}

TEST_F(RetrievalTest, CollectionsAreMadeOnceAndListedInPages) {
  const RequestKey request{"r1", "CreateCollection", "f1"};
  const CollectionDraft draft{Name("handbook"), "For all", "hamlet", 0, 0, ""};
  const auto first = manage_->Create(As("nlp"), request, draft);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->settings.chunk_tokens, 128);
  EXPECT_EQ(first->settings.overlap_tokens, 16);
  EXPECT_EQ(first->settings.embedding_digest, FakeDigest("hamlet"));
  EXPECT_EQ(first->language, "english");
  EXPECT_EQ(manage_->Create(As("nlp"), request, draft)->id, first->id);
  EXPECT_EQ(ReasonOf(manage_->Create(As("nlp"), {}, draft).status())->reason, "COLLECTION_EXISTS");
  CollectionDraft klingon = draft;
  klingon.name.id = "k";
  klingon.language = "klingon";
  EXPECT_THAT(std::string(manage_->Create(As("nlp"), {}, klingon).status().message()),
              HasSubstr("language is \"klingon\""));
  CollectionDraft unknown = draft;
  unknown.name.id = "u";
  unknown.embedding_model = "nobody";
  EXPECT_EQ(manage_->Create(As("nlp"), {}, unknown).status().code(), absl::StatusCode::kNotFound);
  for (const char* id : {"b", "c"}) Create(id);
  const auto page = collections_->List("nlp", {2, ""});
  ASSERT_THAT(page->items, SizeIs(2));
  EXPECT_EQ(page->items[0].name.id, "b");
  EXPECT_EQ(page->next, "c");
  EXPECT_THAT(collections_->List("nlp", {2, page->next})->items, SizeIs(1));
}

// Many random changes; at the end the index has what a fresh one would have.
TEST_F(RetrievalTest, AfterManyChangesMemoryHoldsWhatTheTablesHold) {
  Create("handbook");
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    const std::string id = absl::StrCat("d", random() % 8);
    if (random() % 4 == 0) {
      (void)documents_->Delete({}, {Name("handbook"), id}, clock_.Now());
    } else {
      std::string content;
      for (int i = 0; i < 1 + static_cast<int>(random() % 6); ++i) {
        absl::StrAppend(&content, "Word", random() % 50, " and word", random() % 50, " are here. ");
      }
      ASSERT_TRUE(Store("handbook", {Text(id, content)}).ok());
    }
    if (random() % 3 == 0) Nearest("handbook", "word1");
  }
  const auto nearest = Nearest("handbook", "word1");
  EXPECT_EQ(static_cast<int64_t>(nearest.size()), Count("SELECT count(*) FROM retrieval.chunks"));
  EXPECT_EQ(Orphans(), 0);
  Indexes fresh(
      *tables_, [](size_t d) { return MakeHnswIndex(d); }, Indexes::Options());
  const auto collection = collections_->Get(Name("handbook"));
  const auto expected =
      fresh.Nearest(*collection, FakeEmbedder::VectorOf(FakeDigest("hamlet"), "word1"), 100);
  ASSERT_EQ(nearest.size(), expected->size());
  for (size_t i = 0; i < nearest.size(); ++i) EXPECT_EQ(nearest[i].id, (*expected)[i].id);
}

}  // namespace
}  // namespace floe::retrieval
