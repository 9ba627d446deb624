#include "gateway/stages/answer.h"

#include <utility>

namespace floe::gateway {

Awaitable<absl::Status> AnswerStage::Enter(Request& request) {
  while (true) {
    absl::StatusOr<Piece> piece = co_await request.stream->Next();
    if (!piece.ok()) co_return piece.status();
    ++request.pieces;
    request.finish = piece->finish;
    const bool ends = piece->ended || piece->finish;
    if (piece->text.empty() && piece->logprobs.empty() && piece->calls.empty() && !ends) continue;
    if (request.rules != nullptr && request.rules->audit_text) {
      request.answer_texts.resize(static_cast<size_t>(request.ask.answers_given()));
      request.answer_calls.resize(request.answer_texts.size());
      const auto choice = static_cast<size_t>(piece->choice);
      std::vector<ToolCall>& calls = request.answer_calls[choice];
      request.answer_texts[choice] += piece->text;
      calls.insert(calls.end(), piece->calls.begin(), piece->calls.end());
    }
    const absl::Status written = co_await request.sink->Write(request, *piece);
    if (!written.ok()) co_return written;
    if (request.finish) co_return absl::OkStatus();
  }
}

}  // namespace floe::gateway
