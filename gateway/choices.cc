#include "gateway/choices.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace floe::gateway {
namespace {

int Rank(std::string_view tier) {
  if (tier == TierName(ServiceTier::kFlex)) return 1;
  if (tier == TierName(ServiceTier::kDefault)) return 2;
  return tier == TierName(ServiceTier::kPriority) ? 3 : 0;
}

// What several ends are together. The wait for a first token is that of whoever ended first.
void AddTo(std::optional<Finish>& total, const Finish& end) {
  if (!total) {
    total = end;
    return;
  }
  total->prompt_tokens += end.prompt_tokens;
  total->completion_tokens += end.completion_tokens;
  if (Rank(end.tier_met) < Rank(total->tier_met)) total->tier_met = end.tier_met;
  total->total_time = std::max(total->total_time, end.total_time);
  if (total->reason != FinishReason::kContentFilter) total->reason = end.reason;
}

class Merged final : public TokenStream {
 public:
  Merged(std::vector<std::unique_ptr<TokenStream>> streams, int32_t each)
      : streams_(std::move(streams)), each_(static_cast<size_t>(each)), left_(streams_.size()) {}

  // In turn, so that no answer runs ahead of the others: the workers go on meanwhile, as far as
  // what they send fits the connection.
  Awaitable<absl::StatusOr<Piece>> Next() override {
    while (streams_[next_] == nullptr) next_ = (next_ + 1) % streams_.size();
    const size_t now = std::exchange(next_, (next_ + 1) % streams_.size());
    absl::StatusOr<Piece> piece = co_await streams_[now]->Next();
    if (!piece.ok()) co_return piece;
    piece->choice = static_cast<int32_t>(now);
    if (!piece->finish) co_return piece;
    if (now % each_ != 0) piece->finish->prompt_tokens = 0;  // counted with the first
    AddTo(total_, *piece->finish);
    piece->ended = piece->finish->reason;
    piece->finish.reset();
    streams_[now].reset();
    if (--left_ == 0) piece->finish = total_;
    co_return piece;
  }

 private:
  std::vector<std::unique_ptr<TokenStream>> streams_;  // those that have ended are null
  const size_t each_;                                  // of one prompt
  size_t left_;
  size_t next_ = 0;
  std::optional<Finish> total_;
};

class Ranked final : public TokenStream {
 public:
  Ranked(std::vector<std::unique_ptr<TokenStream>> streams,
         const std::vector<Likelihood>& likelihoods, int32_t each, int32_t count)
      : answers_(streams.size()),
        inner_(Merge(std::move(streams), each)),
        likelihoods_(likelihoods),
        each_(static_cast<size_t>(each)),
        count_(static_cast<size_t>(count)) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    while (inner_ != nullptr) {
      absl::StatusOr<Piece> piece = co_await inner_->Next();
      if (!piece.ok()) co_return piece;
      Keep(*std::move(piece));
    }
    Piece& best = answers_[order_[at_]];
    best.choice = static_cast<int32_t>(at_);
    if (++at_ == order_.size()) best.finish = total_;
    co_return std::move(best);
  }

 private:
  void Keep(Piece piece) {
    Piece& answer = answers_[static_cast<size_t>(piece.choice)];
    answer.ids.insert(answer.ids.end(), piece.ids.begin(), piece.ids.end());
    answer.text += piece.text;
    std::move(piece.logprobs.begin(), piece.logprobs.end(), std::back_inserter(answer.logprobs));
    answer.ended = piece.ended;
    if (!piece.finish) return;
    total_ = piece.finish;
    inner_.reset();
    for (size_t begin = 0; begin < answers_.size(); begin += each_) RankFrom(begin);
  }

  // The answers to one prompt, from that index on.
  void RankFrom(size_t begin) {
    std::vector<size_t> ranked(each_);
    std::iota(ranked.begin(), ranked.end(), begin);
    std::stable_sort(ranked.begin(), ranked.end(), [this](size_t a, size_t b) {
      const bool cut_a = answers_[a].ended == FinishReason::kContentFilter;
      const bool cut_b = answers_[b].ended == FinishReason::kContentFilter;
      if (cut_a != cut_b) return cut_b;
      return likelihoods_[a].mean() > likelihoods_[b].mean();
    });
    order_.insert(order_.end(), ranked.begin(),
                  ranked.begin() + static_cast<std::ptrdiff_t>(count_));
  }

  std::vector<Piece> answers_;          // by stream; whole once inner_ is gone
  std::unique_ptr<TokenStream> inner_;  // until all have ended
  const std::vector<Likelihood>& likelihoods_;
  const size_t each_;   // answers that were made to a prompt
  const size_t count_;  // of them given
  std::optional<Finish> total_;
  std::vector<size_t> order_;  // of those that are given: by prompt, best first
  size_t at_ = 0;
};

}  // namespace

// SplitMix64 (Steele, Lea, Flood 2014): neighbouring states give unrelated numbers.
uint64_t SeedOf(uint64_t seed, int32_t index) {
  if (index == 0) return seed;
  uint64_t z = seed + static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

void Likelihood::Add(const Piece& piece) {
  for (const TokenLogProbs& one : piece.logprobs) sum += one.chosen.log_probability;
  tokens += static_cast<int64_t>(piece.logprobs.size());
}

double Likelihood::mean() const { return tokens == 0 ? 0 : sum / static_cast<double>(tokens); }

std::unique_ptr<TokenStream> Merge(std::vector<std::unique_ptr<TokenStream>> streams,
                                   int32_t each) {
  return std::make_unique<Merged>(std::move(streams), each);
}

std::unique_ptr<TokenStream> BestOf(std::vector<std::unique_ptr<TokenStream>> streams,
                                    const std::vector<Likelihood>& likelihoods, int32_t each,
                                    int32_t count) {
  return std::make_unique<Ranked>(std::move(streams), likelihoods, each, count);
}

}  // namespace floe::gateway
