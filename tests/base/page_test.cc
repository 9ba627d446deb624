#include "base/page.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace floe {
namespace {

TEST(PageTest, ATokenGoesOnInItsOwnListOnly) {
  const std::string token = PageToken("teams/nlp/models", "hamlet");
  const auto page = ParsePage("teams/nlp/models", 10, token);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->after, "hamlet");
  EXPECT_EQ(page->size, 10);
  EXPECT_FALSE(ParsePage("teams/vision/models", 10, token).ok());
  EXPECT_FALSE(ParsePage("teams/nlp/datasets", 10, token).ok());
}

TEST(PageTest, TheLastPageHasNoToken) { EXPECT_EQ(PageToken("teams/nlp/models", ""), ""); }

TEST(PageTest, SizesHaveADefaultAndABound) {
  EXPECT_EQ(ParsePage("l", 0, "")->size, kDefaultPageSize);
  EXPECT_EQ(ParsePage("l", 1'000'000, "")->size, kMaxPageSize);
  EXPECT_FALSE(ParsePage("l", -1, "").ok());
}

TEST(PageTest, DamagedTokensAreRefused) {
  const std::string token = PageToken("l", "key");
  for (const std::string& broken :
       {std::string("x"), std::string("!!!!"), token.substr(0, 9), absl::StrCat("A", token)}) {
    EXPECT_FALSE(ParsePage("l", 0, broken).ok()) << broken;
  }
}

}  // namespace
}  // namespace floe
