// The tokens of a chat, as they are billed.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/door/session.h"

namespace floe::cli {

// `chat`: the JSON of a chat request, with its `tools` and `tool_choice`, or of its `messages`
// alone. Read by the gateway's parser and made into a prompt by the gateway's function, of the
// template and the tokenizer that the registry has under `tokenizer`: what the gateway bills for
// that prompt, retrieved passages left out. INVALID_ARGUMENT names the field; else errors as
// gateway::EncodeChat.
absl::StatusOr<int64_t> CountChat(Session& session, const std::string& tokenizer,
                                  const std::string& chat);

}  // namespace floe::cli
