// Reads one JSON object field by field: types and ranges checked, every mistake named by its path,
// and no field overlooked: those that nobody asked for are listed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include <nlohmann/json.hpp>

namespace floe::gateway::openai {

// INVALID_ARGUMENT with `code` (UPPER_SNAKE) as its reason and the field's path as `param`.
absl::Status FieldError(std::string_view param, std::string_view code, std::string_view message);

// JSON's name of the value's type, with an article: "a string".
std::string_view TypeName(const nlohmann::json& value);

// Borrows `object`, which must be a JSON object. The first mistake stays; what is read after it is
// nothing. A field that is null counts as absent. Not thread-safe.
class FieldReader {
 public:
  FieldReader(const nlohmann::json& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  // The raw value; null pointer when absent.
  const nlohmann::json* Take(std::string_view name);

  std::optional<bool> Bool(std::string_view name);
  std::optional<int64_t> Integer(std::string_view name, int64_t least, int64_t most);
  std::optional<double> Number(std::string_view name, double least, double most);
  std::optional<std::string> String(std::string_view name, size_t max_bytes);

  // A field of the API that this server does not offer: accepted when absent, null, or the value
  // that asks for nothing.
  void Unsupported(std::string_view name, const nlohmann::json& harmless);
  // A field that changes no answer: any value.
  void Ignore(std::string_view name) { Take(name); }

  // Records a mistake in field `name` (empty: in the object itself).
  void Fail(std::string_view name, std::string_view code, std::string_view message);
  void Fail(absl::Status status);
  bool failed() const { return !status_.ok(); }

  // The first mistake. Fields that nobody has asked for are no mistake: see ignored().
  absl::Status Finish();

  // Finishes the reader of field `name`'s own fields: its mistake and what it ignored are this
  // one's too.
  void Adopt(std::string_view name, FieldReader& inner);
  // The same without its known fields: of one element of an array.
  void AdoptElement(FieldReader& inner);

  // Every field that was asked for, those of adopted readers as `floe.cache`.
  std::vector<std::string> known() const { return {known_.begin(), known_.end()}; }

  // Paths of the fields that nobody has asked for, once finished: the first kMaxIgnored, each of
  // letters, digits and `_.-[]` (anything else is `?`), and at most kMaxIgnoredBytes long. A header
  // can hold them.
  const std::vector<std::string>& ignored() const { return ignored_; }
  // How many there were in all.
  size_t ignored_count() const { return ignored_count_; }
  static constexpr size_t kMaxIgnored = 20;
  static constexpr size_t kMaxIgnoredBytes = 80;

  std::string PathOf(std::string_view name) const;

 private:
  void NoteIgnored(std::string_view path);

  const nlohmann::json& object_;
  const std::string path_;  // `messages[2]`; empty for the body itself
  std::set<std::string, std::less<>> known_;
  std::vector<std::string> ignored_;
  size_t ignored_count_ = 0;
  absl::Status status_;
};

}  // namespace floe::gateway::openai
