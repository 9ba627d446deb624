#include "gateway/openai/field_reader.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::gateway::openai {
namespace {

constexpr size_t kShownBytes = 80;

// What a client wrote, short and printable.
std::string Shown(std::string_view text) {
  return absl::CHexEscape(std::string(text.substr(0, kShownBytes)));
}

}  // namespace

absl::Status FieldError(std::string_view param, std::string_view code, std::string_view message) {
  return WithReason(absl::InvalidArgumentError(AbslView(message)), code,
                    {{"param", std::string(param)}});
}

std::string_view TypeName(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

std::string FieldReader::PathOf(std::string_view name) const {
  if (path_.empty()) return Shown(name);
  if (name.empty()) return path_;
  return absl::StrCat(path_, ".", Shown(name));
}

void FieldReader::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void FieldReader::Fail(std::string_view name, std::string_view code, std::string_view message) {
  const std::string path = PathOf(name);
  Fail(FieldError(path, code, absl::StrCat(path, " ", AbslView(message))));
}

const nlohmann::json* FieldReader::Take(std::string_view name) {
  known_.emplace(name);
  if (failed()) return nullptr;
  const auto found = object_.find(name);
  if (found == object_.end() || found->is_null()) return nullptr;
  return &*found;
}

std::optional<bool> FieldReader::Bool(std::string_view name) {
  const nlohmann::json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  Fail(name, "INVALID_TYPE",
       absl::StrCat("is ", AbslView(TypeName(*value)), "; write true or false"));
  return std::nullopt;
}

std::optional<int64_t> FieldReader::Integer(std::string_view name, int64_t least, int64_t most) {
  const nlohmann::json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  const std::string range =
      most == INT64_MAX ? absl::StrCat("at least ", least) : absl::StrCat(least, " to ", most);
  if (!value->is_number_integer()) {
    Fail(name, "INVALID_TYPE",
         absl::StrCat("is ", AbslView(TypeName(*value)), "; write an integer, ", range));
    return std::nullopt;
  }
  const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
  const int64_t number = huge ? INT64_MAX : value->get<int64_t>();
  if (huge || number < least || number > most) {
    const std::string shown = huge ? absl::StrCat(value->get<uint64_t>()) : absl::StrCat(number);
    Fail(name, "INVALID_VALUE", absl::StrCat("is ", shown, "; write an integer, ", range));
    return std::nullopt;
  }
  return number;
}

std::optional<double> FieldReader::Number(std::string_view name, double least, double most) {
  const nlohmann::json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  const std::string range = absl::StrCat(least, " to ", most);
  if (!value->is_number()) {
    Fail(name, "INVALID_TYPE",
         absl::StrCat("is ", AbslView(TypeName(*value)), "; write a number, ", range));
    return std::nullopt;
  }
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) {
    Fail(name, "INVALID_VALUE", absl::StrCat("is ", number, "; write a number, ", range));
    return std::nullopt;
  }
  return number;
}

std::optional<std::string> FieldReader::String(std::string_view name, size_t max_bytes) {
  const nlohmann::json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    Fail(name, "INVALID_TYPE", absl::StrCat("is ", AbslView(TypeName(*value)), "; write a string"));
    return std::nullopt;
  }
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > max_bytes) {
    Fail(name, "INVALID_VALUE",
         absl::StrCat("has ", text.size(), " bytes; write at most ", max_bytes));
    return std::nullopt;
  }
  return text;
}

void FieldReader::Unsupported(std::string_view name, const nlohmann::json& harmless) {
  const nlohmann::json* value = Take(name);
  if (value == nullptr || *value == harmless) return;
  const std::string hint =
      harmless.is_null() ? "" : absl::StrCat(" or write ", harmless.dump(), ", its default");
  Fail(name, "UNSUPPORTED_PARAMETER",
       absl::StrCat("is not supported by this server; leave it out", hint));
}

void FieldReader::Adopt(std::string_view name, FieldReader& inner) {
  for (const std::string& field : inner.known_) {
    known_.insert(absl::StrCat(AbslView(name), ".", field));
  }
  AdoptElement(inner);
}

void FieldReader::AdoptElement(FieldReader& inner) {
  Fail(inner.Finish());
  for (const std::string& path : inner.ignored_) NoteIgnored(path);
  ignored_count_ += inner.ignored_count_ - inner.ignored_.size();
}

void FieldReader::NoteIgnored(std::string_view path) {
  ++ignored_count_;
  if (ignored_.size() == kMaxIgnored) return;
  std::string& noted = ignored_.emplace_back(path.substr(0, kMaxIgnoredBytes));
  for (char& c : noted) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("_.-[]").find(c) == std::string_view::npos) {
      c = '?';
    }
  }
}

absl::Status FieldReader::Finish() {
  if (failed()) return status_;
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name)) NoteIgnored(PathOf(name));
  }
  return status_;
}

}  // namespace floe::gateway::openai
