// Server-sent events, however the bytes are cut.
#include "cli/http/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace floe::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SseReaderTest, GivesTheDataOfEachEvent) {
  SseReader reader;
  EXPECT_THAT(reader.Take("data: {\"a\":1}\n\ndata:x\n\ndata: [DONE]\n\n"),
              ElementsAre("{\"a\":1}", "x", "[DONE]"));
}

TEST(SseReaderTest, AnyCutGivesTheSame) {
  const std::string stream = "data: one\r\n\r\n: a comment\ndata: two\ndata: lines\n\nid: 3\n\n";
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    SseReader reader;
    std::vector<std::string> events = reader.Take(stream.substr(0, cut));
    for (std::string& event : reader.Take(stream.substr(cut))) events.push_back(std::move(event));
    EXPECT_THAT(events, ElementsAre("one", "two\nlines")) << "cut at " << cut;
  }
}

TEST(SseReaderTest, AnUnfinishedEventIsNone) {
  SseReader reader;
  EXPECT_THAT(reader.Take("data: half"), IsEmpty());
  EXPECT_THAT(reader.Take("\n"), IsEmpty());
  EXPECT_THAT(reader.Take("\n"), ElementsAre("half"));
}

}  // namespace
}  // namespace floe::cli
