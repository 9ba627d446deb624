#include "bench/tiers/offer.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"

#include "bench/inference/workload.h"

namespace floe::bench {

// One request on its way, on gRPC's own threads, one at a time.
class Offer::Call final : public grpc::ClientReadReactor<inference::v1::GenerateResponse> {
 public:
  Call(Offer& offer, size_t index) : offer_(offer), index_(index) {
    request_ = offer.RequestOf(index);
    outcome_.tier = offer.arrivals_[index].tier;
  }
  void Start() {
    offer_.stub_.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    const absl::Duration since = offer_.elapsed() - offer_.arrivals_[index_].at;
    if (tokens_ == 0 && response_.ids_size() > 0) outcome_.first_token = since;
    tokens_ += response_.ids_size();
    if (tokens_ > 1) outcome_.per_token = (since - outcome_.first_token) / (tokens_ - 1);
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    outcome_.refused = !status.ok();
    offer_.End(index_, outcome_);
  }

 private:
  Offer& offer_;
  const size_t index_;
  grpc::ClientContext context_;
  inference::v1::GenerateRequest request_;
  inference::v1::GenerateResponse response_;
  Outcome outcome_;
  int64_t tokens_ = 0;
};

std::vector<Outcome> Offer::Run() {
  std::vector<std::unique_ptr<Call>> calls;
  start_ = clock_.Monotonic();
  for (size_t i = 0; i < arrivals_.size(); ++i) {
    calls.push_back(std::make_unique<Call>(*this, i));
    absl::SleepFor(start_ + arrivals_[i].at - clock_.Monotonic());
    calls.back()->Start();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_ == arrivals_.size(); });
  return outcomes_;
}

inference::v1::GenerateRequest Offer::RequestOf(size_t index) const {
  const Arrival& arrival = arrivals_[index];
  inference::v1::GenerateRequest request;
  request.set_checkpoint_digest(served_.digest);
  for (int64_t i = 0; i < arrival.prompt_tokens; ++i) {
    request.add_prompt_ids(static_cast<uint32_t>(
        PromptToken(served_.blueprint, static_cast<int>(index), static_cast<int>(i))));
  }
  request.set_max_tokens(static_cast<int>(arrival.answer_tokens));
  request.set_service_tier(std::string(inference::TierName(arrival.tier)));
  return request;
}

void Offer::End(size_t index, const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  outcomes_[index] = outcome;
  ++ended_;
  changed_.notify_all();
}

}  // namespace floe::bench
