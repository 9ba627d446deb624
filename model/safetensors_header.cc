#include "model/safetensors_header.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/view.h"

namespace floe::model {
namespace {

std::optional<DType> ParseDType(std::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    if (name == DTypeName(dtype)) return dtype;
  }
  return std::nullopt;
}

// Takes the header member by member, and stops at the first that the format does not have. Nothing
// is built but the result, so memory stays in proportion to the header whatever it nests.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderText& text() { return text_; }
  const std::string& mistake() const { return mistake_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(int64_t value) override { return Unexpected(absl::StrCat(value)); }
  bool number_float(double, const std::string& text) override {
    return Unexpected(text.substr(0, 40));
  }
  bool binary(nlohmann::json::binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(uint64_t value) override {
    if (numbers_ == nullptr) return Unexpected(absl::StrCat(value));
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      return Fail(
          absl::StrCat(field_, " of ", ShownName(name_), " holds ", value, ", beyond 2^63 - 1"));
    }
    numbers_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      if (!text_.metadata.emplace(field_, std::move(value)).second) {
        return Fail(absl::StrCat("the metadata hold ", ShownName(field_), " twice"));
      }
      return true;
    }
    if (place_ != Place::kTensor || numbers_ != nullptr || field_ != "dtype") {
      return Unexpected("a string");
    }
    HeaderEntry& entry = text_.entries[name_];
    if (entry.dtype) return Twice();
    entry.dtype = ParseDType(value);
    if (!entry.dtype) {
      return Fail(absl::StrCat("dtype of ", ShownName(name_), " is ", ShownName(value),
                               "; readable are F32, F16, BF16 and I8"));
    }
    return true;
  }

  bool start_object(size_t) override {
    switch (place_) {
      case Place::kOutside:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        place_ = name_ == kMetadataMember ? Place::kMetadata : Place::kTensor;
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      const HeaderEntry& entry = text_.entries[name_];
      if (!entry.dtype || !entry.shape || !entry.offsets) {
        const char* missing = !entry.dtype ? "dtype" : !entry.shape ? "shape" : "data_offsets";
        return Fail(absl::StrCat(ShownName(name_), " has no ", missing));
      }
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || numbers_ != nullptr) return Unexpected("an array");
    HeaderEntry& entry = text_.entries[name_];
    if (field_ != "shape" && field_ != "data_offsets") return Unexpected("an array");
    auto& target = field_ == "shape" ? entry.shape : entry.offsets;
    if (target) return Twice();
    numbers_ = &target.emplace();
    return true;
  }

  bool end_array() override {
    numbers_ = nullptr;
    if (field_ == "data_offsets" && text_.entries[name_].offsets->size() != 2) {
      return Fail(absl::StrCat("data_offsets of ", ShownName(name_), " must be two numbers"));
    }
    return true;
  }

  bool key(std::string& name) override {
    if (place_ == Place::kTop) {
      name_ = std::move(name);
      const bool fresh = name_ == kMetadataMember
                             ? !std::exchange(has_metadata_, true)
                             : text_.entries.emplace(name_, HeaderEntry()).second;
      return fresh || Fail(absl::StrCat("the header holds ", ShownName(name_), " twice"));
    }
    field_ = std::move(name);
    if (place_ == Place::kTensor && field_ != "dtype" && field_ != "shape" &&
        field_ != "data_offsets") {
      return Fail(absl::StrCat(ShownName(name_), " has the unknown key ", ShownName(field_),
                               "; known are dtype, shape and data_offsets"));
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The parser's own text quotes the input; only where it stopped is of use.
    return Fail(
        absl::StrCat("the header is not JSON at its byte ", position, " (error ", error.id, ")"));
  }

 private:
  enum class Place { kOutside, kTop, kTensor, kMetadata };

  bool Fail(std::string mistake) {
    mistake_ = std::move(mistake);
    return false;
  }
  bool Twice() { return Fail(absl::StrCat(ShownName(name_), " has ", field_, " twice")); }
  bool Unexpected(std::string_view found) {
    switch (place_) {
      case Place::kOutside:
        return Fail(absl::StrCat("the header is ", AbslView(found), ", and must be an object"));
      case Place::kTop:
        return Fail(
            absl::StrCat(ShownName(name_), " is ", AbslView(found), ", and must be an object"));
      case Place::kMetadata:
        return Fail(absl::StrCat("metadata ", ShownName(field_), " is ", AbslView(found),
                                 ", and must be a string"));
      case Place::kTensor:
        break;
    }
    const char* wanted = field_ == "dtype" ? "a string" : "an array of whole numbers from 0";
    return Fail(absl::StrCat(field_, " of ", ShownName(name_), " holds ", AbslView(found),
                             ", and must be ", wanted));
  }

  Place place_ = Place::kOutside;
  std::string name_;
  std::string field_;
  bool has_metadata_ = false;
  std::vector<int64_t>* numbers_ = nullptr;  // the open array
  HeaderText text_;
  std::string mistake_;
};

}  // namespace

absl::StatusOr<HeaderText> ReadHeaderText(std::string_view json) {
  if (json.empty() || json.front() != '{') return BadSafetensors("the header must start with {");
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json, &reader)) return BadSafetensors(reader.mistake());
  return std::move(reader.text());
}

absl::Status BadSafetensors(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("safetensors: ", AbslView(what)));
}

std::string ShownName(std::string_view name) {
  const std::string text = absl::Utf8SafeCHexEscape(AbslView(name.substr(0, 120)));
  return absl::StrCat("\"", text, name.size() > 120 ? "...\"" : "\"");
}

}  // namespace floe::model
