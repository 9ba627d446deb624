#include "retrieval/sections.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "retrieval/json_string.h"

namespace floe::retrieval {
namespace {

constexpr std::string_view kBlank = " \t\r\n\f\v";
constexpr size_t kMaxHeadingBytes = 1000;

bool IsBlank(std::string_view text) { return text.find_first_not_of(kBlank) == text.npos; }

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string Joined(const std::string& above, std::string_view heading) {
  if (above.empty()) return std::string(heading);
  if (heading.empty()) return above;
  return absl::StrCat(above, " > ", AbslView(heading));
}

// Calls `visit(begin, line)` for every line; the line is without its newline.
template <typename Visit>
void ForEachLine(std::string_view text, Visit visit) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    visit(begin, text.substr(begin, end - begin));
    begin = end + 1;
  }
}

// `## A heading ##` is level 2, "A heading"; level 0 is no heading (CommonMark 4.2).
struct Heading {
  size_t level = 0;
  std::string_view text;
};
Heading HeadingOf(std::string_view line) {
  const size_t indent = line.find_first_not_of(' ');
  if (indent == line.npos || indent > 3) return {};
  line.remove_prefix(indent);
  const size_t level = std::min(line.find_first_not_of('#'), line.size());
  if (level == 0 || level > 6) return {};
  if (level < line.size() && line[level] != ' ' && line[level] != '\t' && line[level] != '\r') {
    return {};
  }
  std::string_view text = Trimmed(line.substr(level));
  const size_t last = text.find_last_not_of('#');
  if (last == text.npos) {
    text = {};
  } else if (last + 1 < text.size() && (text[last] == ' ' || text[last] == '\t')) {
    text = Trimmed(text.substr(0, last));
  }
  return {level, text};
}

// "```" or "~~~" and longer, at the beginning of a line.
std::string_view FenceOf(std::string_view line) {
  const size_t indent = line.find_first_not_of(' ');
  if (indent == line.npos || indent > 3) return {};
  line.remove_prefix(indent);
  if (line[0] != '`' && line[0] != '~') return {};
  const size_t length = std::min(line.find_first_not_of(line[0]), line.size());
  return length >= 3 ? line.substr(0, length) : std::string_view();
}

class MarkdownReader {
 public:
  explicit MarkdownReader(const NewDocument& document) : document_(document) {}

  std::vector<Section> Read() {
    const std::string_view content = document_.content;
    ForEachLine(content, [&](size_t begin, std::string_view line) {
      const std::string_view fence = FenceOf(line);
      if (!open_fence_.empty()) {
        // Closed by a fence at least as long, of the same character, with nothing behind.
        if (fence.starts_with(open_fence_) && IsBlank(line.substr(line.rfind(fence[0]) + 1))) {
          open_fence_ = {};
        }
        return;
      }
      if (!fence.empty()) {
        open_fence_ = fence;
        return;
      }
      const Heading heading = HeadingOf(line);
      if (heading.level == 0) return;
      Close(begin);
      above_.resize(std::min(above_.size(), heading.level - 1));
      above_.resize(heading.level);
      above_[heading.level - 1] = heading.text;
    });
    Close(content.size());
    return std::move(sections_);
  }

 private:
  void Close(size_t end) {
    const std::string_view text = std::string_view(document_.content).substr(begin_, end - begin_);
    if (!IsBlank(text)) {
      Section section;
      section.heading = document_.title;
      for (const std::string_view heading : above_) {
        section.heading = Joined(section.heading, heading);
      }
      section.text = text;
      section.base = static_cast<int64_t>(begin_);
      sections_.push_back(std::move(section));
    }
    begin_ = end;
  }

  const NewDocument& document_;
  std::vector<Section> sections_;
  std::vector<std::string_view> above_;  // by level
  std::string_view open_fence_;
  size_t begin_ = 0;
};

absl::StatusOr<std::vector<Section>> ReadJsonLines(const NewDocument& document) {
  std::vector<Section> sections;
  int64_t number = 0;
  absl::Status status;
  ForEachLine(document.content, [&](size_t begin, std::string_view line) {
    ++number;
    if (!status.ok() || IsBlank(line)) return;
    if (NestsTooDeep(line)) {
      status =
          absl::InvalidArgumentError(absl::StrCat("document ", document.id, ": line ", number,
                                                  " nests deeper than ", kMaxJsonDepth, " levels"));
      return;
    }
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    std::optional<PlacedString> text;
    if (object.is_object()) text = FindJsonString(line, "text");
    if (!text) {
      status =
          absl::InvalidArgumentError(absl::StrCat("document ", document.id, ": line ", number,
                                                  " is not a JSON object with a string \"text\""));
      return;
    }
    if (IsBlank(text->text)) return;
    const auto title = object.find("title");
    Section section;
    section.heading = document.title;
    if (title != object.end() && title->is_string()) {
      section.heading = Joined(document.title, title->get<std::string>());
    }
    if (absl::StrCat(section.heading, text->text).find('\0') != std::string::npos) {
      status = absl::InvalidArgumentError(
          absl::StrCat("document ", document.id, ": line ", number, " has \\u0000; leave it out"));
      return;
    }
    section.text = std::move(text->text);
    section.base = static_cast<int64_t>(begin);
    section.places = std::move(text->places);
    sections.push_back(std::move(section));
  });
  if (!status.ok()) return status;
  return sections;
}

}  // namespace

absl::StatusOr<std::vector<Section>> SectionsOf(const NewDocument& document) {
  std::vector<Section> sections;
  switch (document.format) {
    case Format::kText:
      if (!IsBlank(document.content)) {
        sections.push_back({document.title, document.content, 0, {}});
      }
      break;
    case Format::kMarkdown:
      sections = MarkdownReader(document).Read();
      break;
    case Format::kJsonl: {
      FLOE_ASSIGN_OR_RETURN(sections, ReadJsonLines(document));
      break;
    }
  }
  if (sections.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("document ", document.id, " has no text; leave it out, or delete it"));
  }
  for (Section& section : sections) {
    if (section.heading.size() <= kMaxHeadingBytes) continue;
    size_t cut = kMaxHeadingBytes;  // back to the beginning of a character
    while (cut > 0 && (section.heading[cut] & 0xC0) == 0x80) --cut;
    section.heading.resize(cut);
  }
  return sections;
}

}  // namespace floe::retrieval
