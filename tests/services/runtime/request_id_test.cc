#include "services/runtime/request_id.h"

#include <string>

#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

TEST(RequestId, IsFitForAHeaderAndALog) {
  EXPECT_TRUE(IsRequestId("01j:a-B_c.9"));
  EXPECT_TRUE(IsRequestId(std::string(128, 'a')));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId("a b"));
  EXPECT_FALSE(IsRequestId("a\"b"));
  EXPECT_FALSE(IsRequestId("a\xc3\xa4"));
  EXPECT_FALSE(IsRequestId(std::string(129, 'a')));
}

}  // namespace
}  // namespace floe::runtime
