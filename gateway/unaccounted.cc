#include "gateway/unaccounted.h"

namespace floe::gateway {

absl::StatusOr<std::shared_ptr<const PriceList>> Unaccounted::Resolve(absl::Time) const {
  return nullptr;
}

boost::asio::awaitable<absl::StatusOr<Reservation>> Unaccounted::Reserve(const Spender&, Picos) {
  co_return Reservation{};
}

boost::asio::awaitable<absl::Status> Unaccounted::Count(const std::string&, const std::string&,
                                                        int64_t) {
  co_return absl::OkStatus();
}

std::unique_ptr<UsageLog::Pending> Unaccounted::Append(
    UsageRecord, std::function<void(const absl::Status&)> written,
    const boost::asio::any_io_executor&) {
  written(absl::OkStatus());
  return nullptr;
}

void Unaccounted::AppendOnly(UsageRecord,
                             std::function<void(const absl::Status&)> written) noexcept {
  written(absl::OkStatus());
}

}  // namespace floe::gateway
