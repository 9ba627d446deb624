#include "gateway/stages/settle.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/this_coro.hpp>

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

absl::Status NotRecorded(const absl::Status& why) {
  return WithReason(absl::UnavailableError(
                        absl::StrCat("the answer was made, but its usage could not be recorded (",
                                     why.message(), "), so it was not charged; try again")),
                    "USAGE_NOT_RECORDED");
}

// Belongs to the request that it borrows.
class SettlingStream final : public TokenStream {
 public:
  SettlingStream(std::unique_ptr<TokenStream> inner, Request& request, const SettlementParts& parts)
      : inner_(std::move(inner)), request_(request), parts_(parts) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    if (piece.ok() && !piece->finish) co_return piece;
    if (piece.ok()) {
      request_.finish = piece->finish;
    } else {
      request_.meter.failure = piece.status();
    }
    const std::unique_ptr<UsageLog::Pending> record =
        Settle(request_, parts_, co_await boost::asio::this_coro::executor);
    if (record == nullptr) co_return piece;
    const absl::Status durable = co_await record->Durable();
    if (piece.ok() && !durable.ok()) co_return NotRecorded(durable);
    co_return piece;
  }

 private:
  const std::unique_ptr<TokenStream> inner_;
  Request& request_;
  const SettlementParts& parts_;
};

}  // namespace

Awaitable<absl::Status> SettleStage::Enter(Request& request) {
  request.stream = std::make_unique<SettlingStream>(std::move(request.stream), request, parts_);
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
