// Reads the members of a config.json one by one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/view.h"

namespace floe::model {

// Reads members; keeps every mistake, so that one answer names them all.
class ConfigReader {
 public:
  explicit ConfigReader(const nlohmann::json& config) : config_(config) {}

  bool Has(const char* key) const { return !At(key).is_null(); }

  int64_t Whole(const char* key) {
    if (!Has(key)) {
      Add(absl::StrCat(key, " is missing"));
      return 0;
    }
    return Whole(key, 0);
  }
  int64_t Whole(const char* key, int64_t otherwise) {
    const nlohmann::json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{1} << 53) {
      return value.get<int64_t>();
    }
    AddWrong(key, value, "a whole number");
    return otherwise;
  }
  double Number(const char* key, double otherwise) {
    const nlohmann::json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_number()) return value.get<double>();
    AddWrong(key, value, "a number");
    return otherwise;
  }
  bool Boolean(const char* key, bool otherwise) {
    const nlohmann::json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_boolean()) return value.get<bool>();
    AddWrong(key, value, "true or false");
    return otherwise;
  }
  std::string Text(const char* key) {
    const nlohmann::json& value = At(key);
    if (value.is_null()) return "";
    if (value.is_string()) return value.get<std::string>();
    AddWrong(key, value, "a string");
    return "";
  }
  // A switch that would change the computation: only `supported` can be served.
  void Only(const char* key, bool supported) {
    if (Boolean(key, supported) != supported) {
      Add(absl::StrCat(key, supported ? " is false" : " is true", ", which is not supported"));
    }
  }
  const nlohmann::json& At(const char* key) const {
    static const nlohmann::json kNull;
    const auto found = config_.find(key);
    return found == config_.end() ? kNull : *found;
  }

  void AddWrong(std::string_view key, const nlohmann::json& value, std::string_view wanted) {
    Add(absl::StrCat(AbslView(key), " is ", ShownJson(value), "; must be ", AbslView(wanted)));
  }
  void Add(std::string_view mistake) {
    absl::StrAppend(&mistakes_, mistakes_.empty() ? "" : "; ", AbslView(mistake));
  }
  // Joined; empty when there is none.
  const std::string& mistakes() const { return mistakes_; }

 private:
  const nlohmann::json& config_;
  std::string mistakes_;
};

}  // namespace floe::model
