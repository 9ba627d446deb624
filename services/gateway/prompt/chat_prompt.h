// How a chat becomes the ids that a worker gets, and that are billed. The gateway makes them here,
// and `floe tokenizer count --chat` counts them here.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/ports.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::gateway {

// The messages with their calls, and the tools where some are offered, by the model's template,
// with the opening of an assistant's message. Where a call is required and the template has a tag
// for it, the prompt ends inside of one. `now` is for templates that write the date. Pure. Errors
// as ChatTemplate::Render, with the reason and the field that is to blame.
absl::StatusOr<EncodedPrompt> EncodeChat(const tokenizer::Tokenizer& tokenizer,
                                         const tokenizer::ChatTemplate& chat_template,
                                         const std::vector<Message>& messages, const ToolAsk& tools,
                                         absl::Time now);

}  // namespace floe::gateway
