// A collection is pinned to one checkpoint; another one means another index, made beside the first.
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "tests/retrieval/postgres/retrieval_fixture.h"

namespace floe::retrieval {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class ReindexTest : public RetrievalTest {
 protected:
  ReindexTest() {
    Create("handbook");
    for (int i = 0; i < 150; ++i) {
      batch_.push_back(Text(absl::StrCat("d", i), absl::StrCat("Text number", i, " is here.")));
    }
    EXPECT_TRUE(Store("handbook", batch_).ok());
  }
  Collection Now() { return *collections_->Get(Name("handbook")); }
  ReindexReport RunReindex() {
    const auto report = reindex_->Run(As(""), GoOn);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(ReindexReport());
  }

  std::vector<NewDocument> batch_;
};

TEST_F(ReindexTest, AnotherDigestMakesEveryVectorAnew) {
  ASSERT_THAT(Find("handbook", "number7", 1), SizeIs(1));
  const auto updated = UseModel("handbook", "othello");
  ASSERT_TRUE(updated.ok()) << updated.status();
  ASSERT_TRUE(updated->target);
  EXPECT_EQ(updated->pending, 150);
  // The old index serves until the new one is complete.
  EXPECT_EQ(search_->Run(As("nlp"), Name("handbook"), "number7", 1)->embedding_digest,
            FakeDigest("hamlet"));
  EXPECT_EQ(RunReindex().promoted, 1);
  const Collection after = Now();
  EXPECT_FALSE(after.target);
  EXPECT_EQ(after.settings.embedding_digest, FakeDigest("othello"));
  EXPECT_EQ(after.chunks, 150);
  EXPECT_EQ(after.pending, 0);
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks"), 150) << "the old vectors are gone";
  const auto found = search_->Run(As("nlp"), Name("handbook"), "number7", 1);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->embedding_digest, FakeDigest("othello"));
  ASSERT_THAT(found->passages, SizeIs(1));
  EXPECT_EQ(found->passages[0].document.id, "d7");
  EXPECT_GT(found->passages[0].cosine, 0.3) << "the query was embedded by the new model";
  EXPECT_EQ(indexes_->vectors(), 150u);
  EXPECT_EQ(RunReindex().promoted, 0);
}

TEST_F(ReindexTest, AnAliasThatMovedCountsWhenTheModelIsNamedAgain) {
  models_.Add("hamlet", "hamlet-v2");
  EXPECT_EQ(Now().settings.embedding_digest, FakeDigest("hamlet")) << "pinned";
  ASSERT_TRUE(UseModel("handbook", "hamlet").ok());
  EXPECT_EQ(RunReindex().promoted, 1);
  EXPECT_EQ(Now().settings.embedding_digest, FakeDigest("hamlet-v2"));
}

TEST_F(ReindexTest, OtherChunkLimitsCutAnew) {
  CollectionPatch patch;
  patch.chunk_tokens = 10;
  patch.overlap_tokens = 0;
  ASSERT_TRUE(manage_->Update(As("nlp"), {}, Name("handbook"), patch).ok());
  EXPECT_EQ(RunReindex().promoted, 1);
  EXPECT_GT(Now().chunks, 150);
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks WHERE tokens > 10"), 0);
}

TEST_F(ReindexTest, WhatComesMeanwhileIsInTheNewIndexToo) {
  ASSERT_TRUE(UseModel("handbook", "othello").ok());
  bool once = false;
  embedder_.OnEmbed([&] {
    if (std::exchange(once, true)) return;
    // In the middle of the first batch: a document is replaced, one deleted, one new.
    EXPECT_TRUE(
        Store("handbook", {Text("d3", "Replaced unicorns."), Text("new", "Fresh dragons.")}).ok());
    EXPECT_TRUE(documents_->Delete({}, {Name("handbook"), "d4"}, clock_.Now()).ok());
  });
  EXPECT_EQ(RunReindex().promoted, 1);
  embedder_.OnEmbed(nullptr);
  EXPECT_EQ(Now().chunks, 150);
  EXPECT_EQ(Orphans(), 0);
  EXPECT_EQ(Find("handbook", "unicorns", 1)[0].document.id, "d3");
  EXPECT_EQ(Find("handbook", "dragons", 1)[0].document.id, "new");
  for (const Passage& passage : Find("handbook", "number4", 50)) {
    EXPECT_NE(passage.document.id, "d4");
  }
}

TEST_F(ReindexTest, DocumentsMadeReadyForTheOldIndexAreMadeReadyAgain) {
  ASSERT_TRUE(UseModel("handbook", "othello").ok());
  bool once = false;
  embedder_.OnEmbed([&] {
    if (!std::exchange(once, true)) {
      EXPECT_EQ(RunReindex().promoted, 1);
    }
  });
  const auto stored = Store("handbook", {Text("late", "Late griffins.")});
  embedder_.OnEmbed(nullptr);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const auto found = Find("handbook", "griffins", 1);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].document.id, "late");
  EXPECT_GT(found[0].cosine, 0.3) << "embedded by the new model";
}

TEST_F(ReindexTest, WhatFailsIsToldAndGoesOnLater) {
  ASSERT_TRUE(UseModel("handbook", "othello").ok());
  embedder_.SetStatus(absl::UnavailableError("no worker answers"));
  EXPECT_EQ(RunReindex().failed, 1);
  EXPECT_THAT(Now().target->error, HasSubstr("no worker answers"));
  embedder_.SetStatus(absl::OkStatus());
  EXPECT_EQ(RunReindex().promoted, 1);
  EXPECT_FALSE(Now().target);
}

TEST_F(ReindexTest, ATargetThatIsNoLongerWantedLeavesNothing) {
  ASSERT_TRUE(UseModel("handbook", "othello").ok());
  int calls = 0;
  const auto stopped = reindex_->Run(As(""), [&]() -> absl::Status {
    return ++calls > 4 ? absl::CancelledError("the service stops") : absl::OkStatus();
  });
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled);
  EXPECT_GT(Count("SELECT count(*) FROM retrieval.chunks"), 150) << "some of the target";
  ASSERT_TRUE(UseModel("handbook", "hamlet").ok());
  EXPECT_EQ(Count("SELECT count(*) FROM retrieval.chunks"), 150);
  EXPECT_FALSE(Now().target);
  // Wanted again, it is made from the beginning: no chunk of the first try is taken for done.
  ASSERT_TRUE(UseModel("handbook", "othello").ok());
  EXPECT_EQ(Now().pending, 150);
  EXPECT_EQ(RunReindex().promoted, 1);
  EXPECT_EQ(Now().chunks, 150);
}

TEST_F(ReindexTest, AnUpdateWithAnOldEtagIsAborted) {
  CollectionPatch patch;
  patch.description = "new";
  patch.etag = Now().etag();
  ASSERT_TRUE(manage_->Update(As("nlp"), {}, Name("handbook"), patch).ok());
  const auto again = manage_->Update(As("nlp"), {}, Name("handbook"), patch);
  EXPECT_EQ(ReasonOf(again.status())->reason, "ETAG_MISMATCH");
  EXPECT_EQ(Now().description, "new");
}

}  // namespace
}  // namespace floe::retrieval
