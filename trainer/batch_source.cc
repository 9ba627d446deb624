#include "trainer/batch_source.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::trainer {

absl::StatusOr<BatchSource> BatchSource::Create(const TokenFile& tokens, int64_t sequence_length,
                                                uint64_t seed) {
  if (tokens.size() < sequence_length + 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the training text has ", tokens.size(), " tokens; sequence_length ", sequence_length,
        " needs at least ", sequence_length + 1, ": add text or shorten it"));
  }
  if (tokens.size() / sequence_length > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("the training text has ", tokens.size(),
                                                   " tokens, too many for sequence_length ",
                                                   sequence_length));
  }
  BatchSource source(tokens, sequence_length, seed);
  source.StartEpoch();
  return source;
}

void BatchSource::StartEpoch() {
  cursor_.position = 0;
  cursor_.rng = rng_.state();
  const int64_t phases = std::min(sequence_length_, tokens_->size() - sequence_length_);
  phase_ = static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(phases)));
  order_.resize(static_cast<size_t>((tokens_->size() - 1 - phase_) / sequence_length_));
  std::iota(order_.begin(), order_.end(), 0u);
  for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[rng_.Below(i + 1)]);
}

void BatchSource::Next(int64_t sequences, std::vector<int64_t>& inputs,
                       std::vector<int64_t>& targets) {
  std::vector<int64_t> window(static_cast<size_t>(sequence_length_) + 1);
  for (int64_t i = 0; i < sequences; ++i) {
    if (cursor_.position == static_cast<int64_t>(order_.size())) {
      ++cursor_.epoch;
      StartEpoch();
    }
    const int64_t first = phase_ + sequence_length_ * order_[static_cast<size_t>(cursor_.position)];
    tokens_->Read(first, sequence_length_ + 1, window.data());
    inputs.insert(inputs.end(), window.begin(), window.end() - 1);
    targets.insert(targets.end(), window.begin() + 1, window.end());
    ++cursor_.position;
  }
}

absl::Status BatchSource::Seek(const DataCursor& cursor) {
  rng_ = Rng(cursor.rng);
  cursor_.epoch = cursor.epoch;
  StartEpoch();
  if (cursor.epoch < 0 || cursor.position < 0 ||
      cursor.position > static_cast<int64_t>(order_.size())) {
    return absl::DataLossError(absl::StrCat("the saved position ", cursor.position,
                                            " lies outside the ", order_.size(),
                                            " windows of the training text"));
  }
  cursor_.position = cursor.position;
  return absl::OkStatus();
}

}  // namespace floe::trainer
