#include "base/resource_name.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ResourceName, GivesTheIdsInOrder) {
  EXPECT_THAT(
      *ParseResourceName("teams/nlp/models/hamlet/versions/7", {"teams", "models", "versions"}),
      ElementsAre("nlp", "hamlet", "7"));
  EXPECT_THAT(*ParseResourceName("teams/nlp", {"teams"}), ElementsAre("nlp"));
}

TEST(ResourceName, OtherFormsAreRefusedWithTheExpectedOne) {
  for (const char* name :
       {"", "teams", "teams/", "teams/nlp/models/", "models/hamlet/teams/nlp",
        "teams/nlp/models/hamlet/versions/7", "/teams/nlp/models/hamlet",
        "teams/nlp/models/hamlet/", "teams//models/hamlet", "teams/../models/hamlet",
        "teams/NLP/models/hamlet", "teams/nlp/models/ham let"}) {
    const auto ids = ParseResourceName(name, {"teams", "models"});
    EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(ids.status().message()), HasSubstr("teams/<id>/models/<id>"));
  }
}

TEST(ResourceId, IsShortPlainAndStartsWithALetterOrDigit) {
  for (const char* id : {"a", "7", "hamlet-2.1_b", "0x"}) EXPECT_TRUE(IsResourceId(id)) << id;
  EXPECT_TRUE(IsResourceId(std::string(63, 'a')));
  EXPECT_FALSE(IsResourceId(std::string(64, 'a')));
  for (const char* id : {"", "-a", ".a", "..", "_a", "A", "a/b", "a b", "\xc3\xa9"}) {
    EXPECT_FALSE(IsResourceId(id)) << id;
  }
}

}  // namespace
}  // namespace floe
