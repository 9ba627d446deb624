// What the built-in template and the templates of models share.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

#include "tokenizer/chat_template.h"

namespace floe::tokenizer {

// ChatML as a template. A model that has these very bytes is rendered without an interpreter.
inline constexpr std::string_view kChatMlJinja =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// INVALID_ARGUMENT names the message of this index whose role is no word.
absl::Status CheckRole(const ChatMessage& message, size_t index);

}  // namespace floe::tokenizer
