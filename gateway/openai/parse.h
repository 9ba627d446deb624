// OpenAI's request bodies → what is asked. Pure; any bytes are answered with a value or an error
// that names the field, never with a crash.
//
// Fields of the API that are not offered are refused by name unless they ask for nothing
// (`tools: []`). Fields that nobody knows are ignored and listed in Ask::ignored, so that a client
// made for another server works and a misspelt name can be seen. Fields that only label a request
// (`safety_identifier`) are accepted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "gateway/ask.h"

namespace floe::gateway::openai {

inline constexpr size_t kMaxStops = 4;  // as OpenAI's API
inline constexpr size_t kMaxStopBytes = 1024;
inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxPrompts = 64;   // of one completion
inline constexpr size_t kMaxInputs = 2048;  // texts to embed, as OpenAI's API

// INVALID_ARGUMENT with a reason (INVALID_JSON, INVALID_TYPE, INVALID_VALUE,
// UNSUPPORTED_PARAMETER, MISSING_REQUIRED_PARAMETER) and the path of the field as `param`.
// Ask::ignored ends with `+12` when there were twelve more than a header should hold.
absl::StatusOr<Ask> ParseChat(std::string_view body);
absl::StatusOr<Ask> ParseCompletion(std::string_view body);
absl::StatusOr<Ask> ParseEmbedding(std::string_view body);

enum class Body { kChat, kCompletion, kEmbedding };

// Every field that the parser of one of them knows, those of inner objects as `floe.cache`; also
// those that it refuses. The description of the API is checked against it.
std::vector<std::string> KnownFields(Body body);

}  // namespace floe::gateway::openai
