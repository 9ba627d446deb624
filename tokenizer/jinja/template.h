// The subset of Jinja2 that chat templates are written in, rendered as transformers renders it.
//
//   statements   if/elif/else, for … if … else, set (of names, attributes of a namespace, blocks),
//                macro, generation, break, continue
//   expressions  Python's, without ** and without calls of what names.h does not list
//   values       texts, integers, floats, booleans, none, lists, mappings, namespaces
//
// Anything else is refused when the template is loaded, by name and line. What the subset has gives
// the bytes of Jinja2 with trim_blocks and lstrip_blocks, or an error; never other bytes. Known
// differences: strftime_now is in UTC, and lists and mappings are written by tojson alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

struct Parsed;

// Work allowed for every message and byte that a template is given, and before the first.
inline constexpr int64_t kBaseWork = 2'000'000;
inline constexpr int64_t kWorkAMessage = 1000;
inline constexpr int64_t kWorkAByte = 4;

struct RenderInput {
  std::map<std::string, Value, std::less<>> variables;
  std::optional<absl::Time> now;  // for strftime_now, which is undefined without
  int64_t work = kBaseWork;
};

struct Rendering {
  Text text;
  // Bytes [begin, end) of `text` inside {% generation %}, in order.
  std::vector<std::pair<size_t, size_t>> generations;
};

// Immutable and thread-safe.
class Template {
 public:
  // INVALID_ARGUMENT for what is not Jinja, and for what is not in the subset.
  static absl::StatusOr<Template> Load(std::string_view source);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // Whether the template says which text the assistant writes.
  bool has_generation() const;

  // INVALID_ARGUMENT with the line: what the template raises itself, and operations on values that
  // do not have them. RESOURCE_EXHAUSTED: more work than `input.work`, or too much nesting.
  absl::StatusOr<Rendering> Render(RenderInput input) const;

 private:
  explicit Template(std::unique_ptr<const Parsed> parsed);
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace floe::tokenizer::jinja
