#include "trainer/alignment/example_order.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::trainer {

ExampleOrder::ExampleOrder(int64_t size, uint64_t seed)
    : rng_(seed), order_(static_cast<size_t>(size)) {
  StartEpoch();
}

void ExampleOrder::StartEpoch() {
  cursor_.position = 0;
  cursor_.rng = rng_.state();
  std::iota(order_.begin(), order_.end(), 0u);
  for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[rng_.Below(i + 1)]);
}

size_t ExampleOrder::Next() {
  if (cursor_.position == static_cast<int64_t>(order_.size())) {
    ++cursor_.epoch;
    StartEpoch();
  }
  return order_[static_cast<size_t>(cursor_.position++)];
}

absl::Status ExampleOrder::Seek(const DataCursor& cursor) {
  if (cursor.epoch < 0 || cursor.position < 0 ||
      cursor.position > static_cast<int64_t>(order_.size())) {
    return absl::DataLossError(absl::StrCat("the saved position ", cursor.position,
                                            " lies outside the ", order_.size(), " examples"));
  }
  rng_ = Rng(cursor.rng);
  cursor_.epoch = cursor.epoch;
  StartEpoch();
  cursor_.position = cursor.position;
  return absl::OkStatus();
}

}  // namespace floe::trainer
