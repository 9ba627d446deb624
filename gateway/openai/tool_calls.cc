#include "gateway/openai/tool_calls.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json/strict_json.h"

namespace floe::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kPythonTag = "<|python_tag|>";

// How many bytes at the end of `text` may be the beginning of `tag`.
size_t BeginningAtEnd(std::string_view text, std::string_view tag) {
  for (size_t n = std::min(text.size(), tag.size() - 1); n > 0; --n) {
    if (text.substr(text.size() - n) == tag.substr(0, n)) return n;
  }
  return 0;
}

// Where the text ends but for white space.
size_t EndOfWords(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpace);
  return last == text.npos ? 0 : last + 1;
}

// The length of the JSON object that `text` begins with; 0 when it does not end in it. Braces
// inside of strings do not count.
size_t ObjectLength(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
    if (depth == 0) return 0;
  }
  return 0;
}

}  // namespace

std::string WithoutEscapes(const std::string& json) {
  if (json.find('\\') == json.npos || NestsTooDeep(json)) return json;
  const Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? json : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ToolCallReader::Found ToolCallReader::Push(std::string_view text) {
  Found found;
  kept_ += text;
  if (options_.format == ToolFormat::kTagged) {
    ReadTagged(/*at_end=*/false, found);
  } else if (options_.format == ToolFormat::kNone || plain_) {
    found.content += std::exchange(kept_, "");
  } else if (!inside_) {
    // The first word decides whether it is a call.
    const size_t first = kept_.find_first_not_of(kSpace);
    plain_ = first != kept_.npos && kept_[first] != '{' &&
             !kPythonTag.starts_with(std::string_view(kept_).substr(first, kPythonTag.size()));
    if (plain_) found.content += std::exchange(kept_, "");
  }
  return found;
}

ToolCallReader::Found ToolCallReader::Flush() {
  Found found;
  if (options_.format == ToolFormat::kTagged) {
    ReadTagged(/*at_end=*/true, found);
  } else if (options_.format == ToolFormat::kBare && !plain_) {
    ReadBare(found);
  }
  found.content += std::exchange(kept_, "");
  return found;
}

void ToolCallReader::ReadTagged(bool at_end, Found& found) {
  while (true) {
    if (!inside_) {
      const size_t open = kept_.find(kOpen);
      if (open != kept_.npos) {
        found.content += kept_.substr(0, EndOfWords(std::string_view(kept_).substr(0, open)));
        kept_.erase(0, open + kOpen.size());
        inside_ = true;
        continue;
      }
      // White space before a call, and between calls, is no text.
      size_t end = kept_.size();
      if (!at_end || calls_ > 0) {
        if (!at_end) end -= BeginningAtEnd(kept_, kOpen);
        end = EndOfWords(std::string_view(kept_).substr(0, end));
      }
      found.content += kept_.substr(0, end);
      kept_.erase(0, at_end ? kept_.size() : end);
      return;
    }
    const size_t close = kept_.find(kClose);
    if (close == kept_.npos && !at_end) return;
    const std::string body = kept_.substr(0, close);
    inside_ = false;
    kept_.erase(0, close == kept_.npos ? kept_.size() : close + kClose.size());
    if (auto call = Parse(body, calls_)) {
      ++calls_;
      found.calls.push_back(*std::move(call));
      continue;
    }
    found.content += calls_ == 0 && options_.begun ? body : std::string(kOpen) + body;
    if (close != kept_.npos) found.content += kClose;
  }
}

void ToolCallReader::ReadBare(Found& found) {
  std::string_view rest = kept_;
  rest.remove_prefix(std::min(rest.find_first_not_of(kSpace), rest.size()));
  if (rest.starts_with(kPythonTag)) rest.remove_prefix(kPythonTag.size());
  std::vector<ToolCall> calls;
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n;"), rest.size()));
    if (rest.empty() || calls.size() == options_.most) break;
    const size_t length = ObjectLength(rest);
    const auto call = length == 0 ? std::nullopt : Parse(rest.substr(0, length), calls.size());
    if (!call) return;  // all of it is text
    calls.push_back(*call);
    rest.remove_prefix(length);
  }
  if (calls.empty()) return;
  calls_ += calls.size();
  found.calls = std::move(calls);
  kept_ = std::string(rest);
}

std::optional<ToolCall> ToolCallReader::Parse(std::string_view text, size_t calls_before) const {
  if (NestsTooDeep(text)) return std::nullopt;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (calls_before >= options_.most || !json.is_object()) return std::nullopt;
  const auto name = json.find("name");
  if (name == json.end() || !name->is_string()) return std::nullopt;
  auto arguments = json.find("arguments");
  if (arguments == json.end()) arguments = json.find("parameters");
  ToolCall call{"", name->get<std::string>(), "{}"};
  if (std::find(options_.names.begin(), options_.names.end(), call.name) == options_.names.end()) {
    return std::nullopt;
  }
  if (arguments == json.end() || arguments->is_null()) return call;
  // Some models write the object as a text that holds it.
  call.arguments = arguments->is_string() ? arguments->get<std::string>() : arguments->dump();
  if (NestsTooDeep(call.arguments) || !Json::parse(call.arguments, nullptr, false).is_object()) {
    return std::nullopt;
  }
  return call;
}

}  // namespace floe::gateway::openai
