#include "tokenizer/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace floe::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Documents(std::string_view file, TextFormat format = TextFormat::kText) {
  std::vector<std::string> documents;
  EXPECT_TRUE(ForEachDocument(file, format, [&](std::string_view document) {
                documents.emplace_back(document);
                return absl::OkStatus();
              }).ok());
  return documents;
}

std::string RefusalOf(std::string_view file, TextFormat format = TextFormat::kText) {
  const absl::Status status = MeasureCorpus(file, format).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(DocumentsTest, BlankLinesSeparateTexts) {
  EXPECT_THAT(Documents("one\ntwo\n\nthree"), ElementsAre("one\ntwo", "three"));
  EXPECT_THAT(Documents("\n\n a\n \t\r\n\n\nb\n"), ElementsAre(" a", "b"));
  EXPECT_THAT(Documents("a\r\nb\r\n\r\nc\r\n"), ElementsAre("a\r\nb", "c"));
}

TEST(DocumentsTest, JsonLinesHoldOneTextEach) {
  EXPECT_THAT(
      Documents("{\"text\": \"a\\n\\nb\"}\n\n{\"id\":1,\"text\":\"\\u00e9\"}\n{\"text\":\"\"}",
                TextFormat::kJsonl),
      ElementsAre("a\n\nb", "\u00E9"));
}

TEST(DocumentsTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(RefusalOf("ok\nbad \xE9 here\n"), HasSubstr("line 2, column 5: byte 0xe9"));
  EXPECT_THAT(RefusalOf("{\"text\":\"a\"}\n{\"text\":1}\n", TextFormat::kJsonl),
              HasSubstr("line 2"));
  EXPECT_THAT(RefusalOf("{\"text\":\"a\"}\nplain\n", TextFormat::kJsonl), HasSubstr("line 2"));
}

TEST(DocumentsTest, ALineThatNestsWithoutEndIsRefused) {
  const std::string deep = "{\"text\":\"a\",\"b\":" + std::string(100, '[') + std::string(100, ']');
  EXPECT_THAT(RefusalOf("{\"text\":\"a\"}\n" + deep + "}\n", TextFormat::kJsonl),
              HasSubstr("line 2 nests deeper than 64 levels"));
}

TEST(DocumentsTest, AFileWithoutDocumentsIsRefused) {
  EXPECT_THAT(RefusalOf(""), HasSubstr("empty"));
  EXPECT_THAT(RefusalOf(" \n\t\n"), HasSubstr("empty"));
  EXPECT_THAT(RefusalOf("{\"text\":\"\"}\n", TextFormat::kJsonl), HasSubstr("empty"));
}

TEST(DocumentsTest, MeasuresDocumentsAndBytes) {
  const CorpusSize size = MeasureCorpus("one\ntwo\n\nthree\n", TextFormat::kText).value();
  EXPECT_EQ(size.documents, 2);
  EXPECT_EQ(size.bytes, 12);
}

TEST(DocumentsTest, StopsAtTheVisitorsError) {
  int visits = 0;
  const absl::Status status = ForEachDocument("a\n\nb", TextFormat::kText, [&](std::string_view) {
    ++visits;
    return absl::CancelledError("enough");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace floe::tokenizer
