// The stream of an answer in which calls of tools are told apart from text.
#pragma once

#include <memory>

#include "gateway/openai/tool_calls.h"
#include "gateway/request.h"

namespace floe::gateway {

// Wraps the stream of all answers: what the model writes as a call comes as Piece::calls, and an
// answer that has one and stops by itself ends with kToolCalls. Ids are made of the request's.
//
// Rules over answers saw the call as the model wrote it. They see its arguments once more as they
// read, since escapes may hide what a client then reads: a match is masked, or ends the answer
// before the call. Belongs to the request that it borrows.
std::unique_ptr<TokenStream> FindCalls(std::unique_ptr<TokenStream> inner,
                                       openai::CallOptions options, Request& request);

}  // namespace floe::gateway
