#include "cli/commands/docs_files.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::cli {
namespace {

using nlohmann::json;

constexpr size_t kMaxIdBytes = 63;

// Calls `visit` with every line that is not blank; `strings` must be string members of each.
absl::Status ForEachObject(std::string_view file, std::initializer_list<const char*> strings,
                           const std::function<absl::Status(int64_t, const json&)>& visit) {
  int64_t number = 0;
  for (size_t begin = 0; begin < file.size();) {
    const size_t end = std::min(file.find('\n', begin), file.size());
    const std::string_view line = file.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    for (const char* name : strings) {
      if (object.is_object() && object.contains(name) && object[name].is_string()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " is not a JSON object with a string \"", name, "\""));
    }
    FLOE_RETURN_IF_ERROR(visit(number, object));
  }
  return absl::OkStatus();
}

std::string StringOr(const json& object, const char* name, std::string otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

}  // namespace

std::string DocumentIdOf(std::string_view name) {
  std::string id;
  for (const char c : name) {
    const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(lower)) || lower == '.' ||
                       lower == '_' || lower == '-';
    if (plain && (!id.empty() || absl::ascii_isalnum(static_cast<unsigned char>(lower)))) {
      id += lower;
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  if (id.empty()) return "document";
  id.resize(std::min(id.size(), kMaxIdBytes));
  return id;
}

retrieval::v1::Document::Format FormatOfFile(std::string_view name) {
  const auto ends = [name](std::string_view end) { return name.ends_with(end); };
  if (ends(".md") || ends(".markdown")) return retrieval::v1::Document::MARKDOWN;
  if (ends(".jsonl") || ends(".ndjson")) return retrieval::v1::Document::JSONL;
  return retrieval::v1::Document::TEXT;
}

absl::StatusOr<std::vector<NewDocument>> SplitJsonLines(std::string_view file,
                                                        std::string_view stem) {
  std::vector<NewDocument> documents;
  FLOE_RETURN_IF_ERROR(ForEachObject(file, {"text"}, [&](int64_t number, const json& object) {
    NewDocument& document = documents.emplace_back();
    document.set_document_id(StringOr(object, "id", absl::StrCat(AbslView(stem), "-", number)));
    document.set_title(StringOr(object, "title", ""));
    document.set_format(retrieval::v1::Document::TEXT);
    document.set_content(object["text"].get<std::string>());
    return absl::OkStatus();
  }));
  return documents;
}

absl::StatusOr<std::vector<KnownQuestion>> ReadQuestions(std::string_view file) {
  std::vector<KnownQuestion> questions;
  FLOE_RETURN_IF_ERROR(
      ForEachObject(file, {"question", "answer"}, [&](int64_t, const json& object) {
        questions.push_back(
            {object["question"].get<std::string>(), object["answer"].get<std::string>()});
        return absl::OkStatus();
      }));
  if (questions.empty()) return absl::InvalidArgumentError("there is not one question");
  return questions;
}

}  // namespace floe::cli
