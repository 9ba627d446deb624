// The stream of an answer in which calls of tools are told apart from text.
#pragma once

#include <memory>
#include <string>

#include "gateway/openai/tool_calls.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Wraps the stream of all answers: what the model writes as a call comes as Piece::calls, and an
// answer that has one and stops by itself ends with kToolCalls. Ids begin with `id_head`.
std::unique_ptr<TokenStream> FindCalls(std::unique_ptr<TokenStream> inner,
                                       openai::CallOptions options, std::string id_head);

}  // namespace floe::gateway
