// Published price books, read once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "billing/ports.h"
#include "billing/pricing/price_book.h"

namespace floe::billing {

// Thread-safe. Borrows `store` and `clock`. Books never change, so each is parsed once and kept.
class PriceBooks {
 public:
  PriceBooks(PriceBookStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  struct NewBook {
    std::string id;
    std::string yaml;
    std::optional<absl::Time> effective_time;  // none: at once
    std::string creator;
    std::string request_id;
    bool validate_only = false;
  };
  // Validates and publishes; INVALID_ARGUMENT names the line.
  absl::StatusOr<BookRecord> Create(const NewBook& book);

  // A book with its id. Shared: events of many calls hold on to it.
  struct Resolved {
    std::string id;
    std::shared_ptr<const PriceBook> book;
  };
  // The named one, or when `id` is empty the one in force at `time`.
  absl::StatusOr<Resolved> Resolve(std::string_view id, absl::Time time);

 private:
  absl::StatusOr<Resolved> Keep(const BookRecord& record);

  PriceBookStore& store_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const PriceBook>, std::less<>> books_;  // guarded by mutex_
};

}  // namespace floe::billing
