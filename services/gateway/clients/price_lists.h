// The fleet's price books in this process: fetched from floe-billing, kept, and computed with by
// the code that charges.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "billing/pricing/price_book.h"
#include "floe/billing/v1/price_book.grpc.pb.h"
#include "gateway/accounting.h"
#include "services/runtime/logging.h"

namespace floe::gateway {

// One book. Immutable, thread-safe.
class BookPriceList final : public PriceList {
 public:
  BookPriceList(std::string name, billing::PriceBook book)
      : name_(std::move(name)), book_(std::move(book)) {}

  const std::string& name() const override { return name_; }
  absl::StatusOr<Cost> WorstCase(const PricedCall& call, int64_t input_tokens,
                                 int64_t max_output_tokens) const override;
  absl::StatusOr<Cost> Charge(const PricedCall& call,
                              const UsageQuantities& quantities) const override;
  absl::StatusOr<Picos> Amount(std::string_view dollars) const override;

 private:
  const std::string name_;
  const billing::PriceBook book_;
};

// Thread-safe. Asks billing every few seconds, on a thread of its own, for the books in force now
// and those that come into force later: a change of prices at midnight is kept to the second, also
// while billing is away. Books never change, so each is read once. Borrows `logger`.
class PriceLists final : public Prices {
 public:
  PriceLists(const std::shared_ptr<grpc::Channel>& billing, const runtime::Logger& logger,
             absl::Duration refresh_every = absl::Seconds(3));
  ~PriceLists() override;

  absl::StatusOr<std::shared_ptr<const PriceList>> Resolve(absl::Time time) const override;

  // UNAVAILABLE until billing has answered once, with or without a book.
  absl::Status Ready() const;

  // Asks at once and waits for the answer; for starts and tests.
  absl::Status Refresh();

 private:
  struct Dated {
    absl::Time effective;
    std::shared_ptr<const PriceList> list;
  };

  void Loop();
  absl::StatusOr<std::vector<billing::v1::PriceBook>> NewestBooks();
  absl::StatusOr<std::shared_ptr<const PriceList>> Fetch(const std::string& name);
  std::shared_ptr<const PriceList> Known(const std::string& name) const;

  const std::unique_ptr<billing::v1::PriceBookService::Stub> stub_;
  const runtime::Logger& logger_;
  const absl::Duration refresh_every_;
  std::mutex refreshing_;  // one at a time: what was read earlier must not replace what is newer
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Dated> books_;  // guarded by mutex_; newest effective time first
  bool answered_ = false;     // guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace floe::gateway
