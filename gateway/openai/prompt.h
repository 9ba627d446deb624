// `messages`, `prompt` and `input`: the part of a request body that holds the text.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "gateway/ask.h"
#include "gateway/openai/field_reader.h"

namespace floe::gateway::openai {

// Roles system, developer (as system), user, assistant (which may have called tools) and tool (a
// call's result); content a string or an array of text parts. What a client got as an answer may be
// sent back as it is.
absl::Status ReadMessages(FieldReader& body, std::vector<Prompt>& prompts);

// `prompt` or `input`: a text, the ids of one, or a list of up to `most` of these.
absl::Status ReadTexts(FieldReader& body, const std::string& field, size_t most,
                       std::vector<Prompt>& prompts);

}  // namespace floe::gateway::openai
