// `messages` and `prompt`: the part of a request body that holds the text.
#pragma once

#include <vector>

#include "absl/status/status.h"

#include "gateway/ask.h"
#include "gateway/openai/field_reader.h"

namespace floe::gateway::openai {

// Roles system, developer (as system), user, assistant (which may have called tools) and tool (a
// call's result); content a string or an array of text parts. What a client got as an answer may be
// sent back as it is.
absl::Status ReadMessages(FieldReader& body, Prompt& prompt);

// A string, an array of ids, or an array of one of these.
absl::Status ReadPrompt(FieldReader& body, Prompt& prompt);

// `input`: a text, a list of texts, the ids of one, or a list of lists of ids; up to kMaxInputs.
absl::Status ReadInputs(FieldReader& body, std::vector<Prompt>& inputs);

}  // namespace floe::gateway::openai
