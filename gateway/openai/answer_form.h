// `response_format` and `structured_outputs`: what an answer must look like.
#pragma once

#include <string_view>

#include "gateway/ask.h"
#include "gateway/openai/field_reader.h"

namespace floe::gateway::openai {

inline constexpr size_t kMaxFormBytes = 64 << 10;

// OpenAI's field, of chats: text, json_object, json_schema.
void ReadResponseFormat(FieldReader& fields, ResponseFormat& wanted);

// The field of vLLM's servers, of chats and completions: one of json (a schema), json_object,
// regex, choice (a list of texts) and grammar (EBNF). Read before response_format, of which there
// must not be another then.
void ReadStructuredOutputs(FieldReader& fields, ResponseFormat& wanted);

// A schema says in which order an answer's properties come, and `json` forgets it: writes the
// schema of `wanted` again as `body`, which is valid JSON, has it.
void KeepSchemaOrder(std::string_view body, ResponseFormat& wanted);

}  // namespace floe::gateway::openai
