#include "retrieval/collection.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"

namespace floe::retrieval {
namespace {

using testing::HasSubstr;

Collection Sample() {
  Collection collection;
  collection.name = {"nlp", "handbook"};
  collection.settings = {"hamlet", "aaaa", 128, 16};
  return collection;
}

CollectionUpdate Wanting(IndexSettings settings) {
  CollectionUpdate update;
  update.settings = std::move(settings);
  return update;
}

TEST(CollectionUpdates, OtherSettingsBeginANewIndexBesideTheSearchedOne) {
  const Collection before = Sample();
  const Collection after = *Updated(before, Wanting({"hamlet", "bbbb", 128, 16}));
  EXPECT_EQ(after.generation, 1);
  EXPECT_EQ(after.settings.embedding_digest, "aaaa");
  ASSERT_TRUE(after.target);
  EXPECT_EQ(after.target->generation, 2);
  EXPECT_NE(after.etag(), before.etag());
  const Collection promoted = Promoted(after);
  EXPECT_EQ(promoted.generation, 2);
  EXPECT_EQ(promoted.settings.embedding_digest, "bbbb");
  EXPECT_FALSE(promoted.target);
  EXPECT_GT(promoted.revision, after.revision);
}

TEST(CollectionUpdates, AGenerationIsNeverGivenTwice) {
  Collection collection = *Updated(Sample(), Wanting({"hamlet", "bbbb", 128, 16}));
  collection = *Updated(collection, Wanting({"hamlet", "aaaa", 128, 16}));
  EXPECT_FALSE(collection.target) << "back to what is searched";
  collection = *Updated(collection, Wanting({"hamlet", "bbbb", 128, 16}));
  EXPECT_EQ(collection.target->generation, 3);
  collection = *Updated(collection, Wanting({"hamlet", "bbbb", 64, 16}));
  EXPECT_EQ(collection.target->generation, 4);
}

TEST(CollectionUpdates, TheSameIndexUnderAnotherNameMakesNone) {
  const Collection after = *Updated(Sample(), Wanting({"hamlet@3", "aaaa", 128, 16}));
  EXPECT_FALSE(after.target);
  EXPECT_EQ(after.settings.embedding_model, "hamlet@3");
}

TEST(CollectionUpdates, AnOldEtagIsAborted) {
  CollectionUpdate update;
  update.description = "new";
  update.etag = "v7";
  const auto status = Updated(Sample(), update).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(status)->reason, "ETAG_MISMATCH");
}

TEST(CollectionSettings, LimitsAreNamed) {
  const auto message = [](IndexSettings settings) {
    return std::string(Validate(settings, 256).message());
  };
  EXPECT_EQ(message({"hamlet", "aaaa", 256, 128}), "");
  EXPECT_THAT(message({"hamlet", "aaaa", 257, 16}), HasSubstr("write 8 to 256"));
  EXPECT_THAT(message({"hamlet", "aaaa", 7, 1}), HasSubstr("chunk_tokens is 7"));
  EXPECT_THAT(message({"hamlet", "aaaa", 128, 65}), HasSubstr("overlap_tokens is 65"));
  EXPECT_THAT(message({"", "", 128, 16}), HasSubstr("embedding_model is missing"));
}

}  // namespace
}  // namespace floe::retrieval
