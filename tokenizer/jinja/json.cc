#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/builtins.h"

namespace floe::tokenizer::jinja {
namespace {

constexpr int64_t kMaxIndent = 16;

class JsonWriter {
 public:
  JsonWriter(int64_t indent, Budget& budget) : indent_(indent), budget_(budget) {}

  // The depth of a value is bounded where it is made.
  absl::Status Write(const Value& value, int64_t level) {
    FLOE_RETURN_IF_ERROR(budget_.Spend(1));
    if (value.none()) {
      out_ += "null";
    } else if (const auto* held = value.As<bool>()) {
      out_ += *held ? "true" : "false";
    } else if (const auto* number = value.As<int64_t>()) {
      absl::StrAppend(&out_, *number);
    } else if (const auto* real = value.As<double>()) {
      out_ += FloatText(*real);
    } else if (value.text() != nullptr) {
      return String(value.text()->bytes);
    } else if (value.list() != nullptr) {
      return Sequence(*value.list(), level);
    } else if (value.map() != nullptr) {
      return Mapping(*value.map(), level);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(KindOf(value)), " cannot be written as JSON"));
    }
    return absl::OkStatus();
  }

  std::string Take() { return std::move(out_); }

 private:
  absl::Status Line(int64_t level) {
    if (indent_ < 0) return absl::OkStatus();
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(static_cast<size_t>(indent_ * level)));
    out_.push_back('\n');
    out_.append(static_cast<size_t>(indent_ * level), ' ');
    return absl::OkStatus();
  }

  absl::Status Sequence(const List& list, int64_t level) {
    out_.push_back('[');
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += indent_ < 0 ? ", " : ",";
      FLOE_RETURN_IF_ERROR(Line(level + 1));
      FLOE_RETURN_IF_ERROR(Write(list.items[i], level + 1));
    }
    if (!list.items.empty()) FLOE_RETURN_IF_ERROR(Line(level));
    out_.push_back(']');
    return absl::OkStatus();
  }

  absl::Status Mapping(const Map& map, int64_t level) {
    out_.push_back('{');
    for (size_t i = 0; i < map.entries.size(); ++i) {
      if (i > 0) out_ += indent_ < 0 ? ", " : ",";
      FLOE_RETURN_IF_ERROR(Line(level + 1));
      FLOE_RETURN_IF_ERROR(String(map.entries[i].first.bytes));
      out_ += ": ";
      FLOE_RETURN_IF_ERROR(Write(map.entries[i].second, level + 1));
    }
    if (!map.entries.empty()) FLOE_RETURN_IF_ERROR(Line(level));
    out_.push_back('}');
    return absl::OkStatus();
  }

  absl::Status String(std::string_view text) {
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(text.size() * 2));
    constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kLetter = "\"\\bfnrt";
    out_.push_back('"');
    for (const char c : text) {
      const size_t known = kPlain.find(c);
      if (known != std::string_view::npos) {
        out_.append({'\\', kLetter[known]});
      } else if (static_cast<unsigned char>(c) < 0x20) {
        absl::StrAppendFormat(&out_, "\\u%04x", static_cast<unsigned char>(c));
      } else {
        out_.push_back(c);
      }
    }
    out_.push_back('"');
    return absl::OkStatus();
  }

  const int64_t indent_;
  Budget& budget_;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value, int64_t indent, Budget& budget) {
  if (indent > kMaxIndent) {
    return absl::InvalidArgumentError(absl::StrCat("tojson indents by at most ", kMaxIndent));
  }
  JsonWriter writer(indent, budget);
  FLOE_RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

}  // namespace floe::tokenizer::jinja
