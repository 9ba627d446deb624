#include "billing/price_books.h"

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::billing {

absl::StatusOr<BookRecord> PriceBooks::Create(const NewBook& book) {
  if (!IsResourceId(book.id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("price_book_id is \"", book.id, "\"; write 1 to 63 of a-z 0-9 - _ ."));
  }
  FLOE_ASSIGN_OR_RETURN(const PriceBook parsed, PriceBook::Parse(book.yaml));
  const absl::Time now = clock_.Now();
  const BookRecord record{.id = book.id,
                          .effective_time = book.effective_time.value_or(now),
                          .yaml = book.yaml,
                          .digest = Sha256::Hex(book.yaml),
                          .currency = parsed.currency(),
                          .create_time = now,
                          .creator = book.creator};
  if (book.validate_only) return record;
  return store_.Insert(record, book.request_id);
}

absl::StatusOr<PriceBooks::Resolved> PriceBooks::Resolve(std::string_view id, absl::Time time) {
  if (id.empty()) {
    FLOE_ASSIGN_OR_RETURN(const BookRecord record, store_.Effective(time));
    return Keep(record);
  }
  {
    const std::lock_guard lock(mutex_);
    const auto known = books_.find(id);
    if (known != books_.end()) return Resolved{std::string(id), known->second};
  }
  FLOE_ASSIGN_OR_RETURN(const BookRecord record, store_.Get(id));
  return Keep(record);
}

absl::StatusOr<PriceBooks::Resolved> PriceBooks::Keep(const BookRecord& record) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = books_.find(record.id);
    if (known != books_.end()) return Resolved{record.id, known->second};
  }
  FLOE_ASSIGN_OR_RETURN(PriceBook book, PriceBook::Parse(record.yaml));
  auto shared = std::make_shared<const PriceBook>(std::move(book));
  const std::lock_guard lock(mutex_);
  return Resolved{record.id, books_.emplace(record.id, std::move(shared)).first->second};
}

}  // namespace floe::billing
