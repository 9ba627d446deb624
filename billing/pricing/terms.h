// The words of prices: tiers, token kinds, operations.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::billing {

// In ascending order of what they promise.
enum class Tier : uint8_t { kFlex, kDefault, kPriority };
inline constexpr std::array kTiers = {Tier::kFlex, Tier::kDefault, Tier::kPriority};

enum class Kind : uint8_t { kInput, kCachedInput, kOutput, kCachedOutput, kCall, kMinimum };
inline constexpr int kPricedKinds = 5;  // all but kMinimum have a price of their own

enum class Operation : uint8_t { kChat, kCompletion, kEmbedding, kRetrieval, kTool };

std::string_view Name(Tier tier);  // flex, default, priority
std::string_view Name(Kind kind);  // input, cached_input, output, cached_output, call, …
std::string_view Name(Operation operation);  // chat, completion, embedding, retrieval, tool

// INVALID_ARGUMENT lists what there is. An empty tier is `default`.
absl::StatusOr<Tier> ParseTier(std::string_view text);
absl::StatusOr<Kind> ParseKind(std::string_view text);
absl::StatusOr<Operation> ParseOperation(std::string_view text);

}  // namespace floe::billing
