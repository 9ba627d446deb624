#include "gateway/calling.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::gateway {
namespace {

class CallingStream final : public TokenStream {
 public:
  CallingStream(std::unique_ptr<TokenStream> inner, openai::CallOptions options,
                std::string id_head)
      : inner_(std::move(inner)), options_(std::move(options)), id_head_(std::move(id_head)) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    if (piece.ok()) Find(*piece);
    co_return piece;
  }

 private:
  void Find(Piece& piece) {
    const auto choice = static_cast<size_t>(piece.choice);
    while (readers_.size() <= choice) readers_.emplace_back(options_);
    openai::ToolCallReader& reader = readers_[choice];
    Take(reader, reader.Push(std::exchange(piece.text, "")), piece);
    if (!piece.ended && !piece.finish) return;
    Take(reader, reader.Flush(), piece);
    if (reader.calls() == 0) return;
    if (piece.ended == FinishReason::kStop) piece.ended = FinishReason::kToolCalls;
    if (piece.finish && piece.finish->reason == FinishReason::kStop) {
      piece.finish->reason = FinishReason::kToolCalls;
    }
  }

  void Take(const openai::ToolCallReader& reader, openai::ToolCallReader::Found found,
            Piece& piece) {
    piece.text += found.content;
    size_t index = reader.calls() - found.calls.size();
    for (ToolCall& call : found.calls) {
      call.id = absl::StrCat(id_head_, "_", piece.choice, "_", index++);
      piece.calls.push_back(std::move(call));
    }
  }

  const std::unique_ptr<TokenStream> inner_;
  const openai::CallOptions options_;
  const std::string id_head_;
  std::deque<openai::ToolCallReader> readers_;  // by answer
};

}  // namespace

std::unique_ptr<TokenStream> FindCalls(std::unique_ptr<TokenStream> inner,
                                       openai::CallOptions options, std::string id_head) {
  return std::make_unique<CallingStream>(std::move(inner), std::move(options), std::move(id_head));
}

}  // namespace floe::gateway
