#include "billing/pricing/terms.h"

#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe::billing {
namespace {

constexpr std::array<std::string_view, 3> kTierNames = {"flex", "default", "priority"};
constexpr std::array<std::string_view, 6> kKindNames = {"input",         "cached_input", "output",
                                                        "cached_output", "call",         "minimum"};
constexpr std::array<std::string_view, 5> kOperationNames = {"chat", "completion", "embedding",
                                                             "retrieval", "tool"};

template <typename T>
absl::StatusOr<T> Parse(std::string_view text, std::span<const std::string_view> names,
                        std::string_view what) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<T>(i);
  }
  const auto append = [](std::string* out, std::string_view name) { out->append(name); };
  return absl::InvalidArgumentError(absl::StrCat(AbslView(what), " is \"",
                                                 AbslView(text.substr(0, 50)), "\"; use one of ",
                                                 absl::StrJoin(names, ", ", append)));
}

}  // namespace

std::string_view Name(Tier tier) { return kTierNames[static_cast<size_t>(tier)]; }
std::string_view Name(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }
std::string_view Name(Operation operation) {
  return kOperationNames[static_cast<size_t>(operation)];
}

absl::StatusOr<Tier> ParseTier(std::string_view text) {
  if (text.empty()) return Tier::kDefault;
  return Parse<Tier>(text, kTierNames, "service tier");
}
absl::StatusOr<Kind> ParseKind(std::string_view text) {
  return Parse<Kind>(text, kKindNames, "kind");
}
absl::StatusOr<Operation> ParseOperation(std::string_view text) {
  return Parse<Operation>(text, kOperationNames, "operation");
}

}  // namespace floe::billing
