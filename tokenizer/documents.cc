#include "tokenizer/documents.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

using Visit = std::function<absl::Status(std::string_view)>;

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos;
}

absl::Status CheckUtf8(std::string_view line, int64_t number) {
  for (size_t i = 0; i < line.size();) {
    const Utf8Char c = ReadUtf8(line, i);
    if (c.code_point == kNotUtf8) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, ", column ", i + 1, ": byte 0x",
          absl::Hex(static_cast<uint8_t>(line[i]), absl::kZeroPad2),
          " is not UTF-8; convert the file first, for example with iconv -f latin1 -t utf-8"));
    }
    i += c.length;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TextOf(std::string_view line, int64_t number) {
  if (NestsTooDeep(line)) {  // each takes some seventy bytes: a file of brackets took all memory
    return absl::InvalidArgumentError(
        absl::StrCat("line ", number, " nests deeper than ", kMaxJsonDepth, " levels"));
  }
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (object.is_object()) {
    const auto text = object.find("text");
    if (text != object.end() && text->is_string()) return text->get<std::string>();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("line ", number, " is not a JSON object with a string \"text\""));
}

// Cuts a text file at its blank lines: a document runs from its first to its last line that is not
// blank.
class BlankLineSplitter {
 public:
  explicit BlankLineSplitter(const Visit& visit) : visit_(visit) {}

  absl::Status Line(std::string_view line) {
    if (IsBlank(line)) return End();
    if (begin_ == nullptr) begin_ = line.data();
    end_ = line.data() + line.size();
    return absl::OkStatus();
  }
  absl::Status End() {
    if (begin_ == nullptr) return absl::OkStatus();
    std::string_view document(begin_, end_ - begin_);
    if (document.ends_with('\r')) document.remove_suffix(1);
    begin_ = nullptr;
    return visit_(document);
  }

 private:
  const Visit& visit_;
  const char* begin_ = nullptr;  // of the document under way; null between documents
  const char* end_ = nullptr;
};

}  // namespace

std::optional<TextFormat> TextFormatFromName(std::string_view name) {
  if (name == "text") return TextFormat::kText;
  if (name == "jsonl") return TextFormat::kJsonl;
  return std::nullopt;
}

absl::Status ForEachDocument(std::string_view file, TextFormat format, const Visit& visit) {
  int64_t documents = 0;
  const Visit counted = [&](std::string_view document) {
    ++documents;
    return visit(document);
  };
  BlankLineSplitter splitter(counted);
  int64_t number = 1;
  for (size_t begin = 0; begin < file.size(); ++number) {
    const size_t end = std::min(file.find('\n', begin), file.size());
    const std::string_view line = file.substr(begin, end - begin);
    FLOE_RETURN_IF_ERROR(CheckUtf8(line, number));
    if (format == TextFormat::kText) {
      FLOE_RETURN_IF_ERROR(splitter.Line(line));
    } else if (!IsBlank(line)) {
      FLOE_ASSIGN_OR_RETURN(const std::string text, TextOf(line, number));
      if (!text.empty()) FLOE_RETURN_IF_ERROR(counted(text));
    }
    begin = end + 1;
  }
  FLOE_RETURN_IF_ERROR(splitter.End());
  if (documents == 0) {
    return absl::InvalidArgumentError("the corpus is empty: it has not one document");
  }
  return absl::OkStatus();
}

absl::StatusOr<CorpusSize> MeasureCorpus(std::string_view file, TextFormat format) {
  CorpusSize size;
  FLOE_RETURN_IF_ERROR(ForEachDocument(file, format, [&](std::string_view document) {
    size.bytes += static_cast<int64_t>(document.size());
    ++size.documents;
    return absl::OkStatus();
  }));
  return size;
}

}  // namespace floe::tokenizer
