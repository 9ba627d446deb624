#include "services/inference/inference_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <vector>

namespace floe::inference {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(250);

const std::vector<double>& SecondsBounds() {
  static const std::vector<double> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,      2.5,   5,    10,    30,   60,  300};
  return bounds;
}

const std::vector<double>& TokenBounds() {
  static const std::vector<double> bounds = {1,   2,    5,    10,   20,    50,    100,   200,
                                             500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
  return bounds;
}

const char* ReasonLabel(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kScored:
      return "scored";
    case FinishReason::kEmbedded:
      return "embedded";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}

// Models with the same first 12 characters are one label: enough to tell them apart, short to read.
runtime::Metrics::Labels LabelOf(const std::string& digest) {
  return {{"model_name", digest.substr(0, 12)}};
}

}  // namespace

InferenceMetrics::InferenceMetrics(runtime::Metrics& metrics, const ModelPool& pool)
    : metrics_(metrics), pool_(pool) {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kInterval, [this] { return ending_; })) {
      lock.unlock();
      Sample();
      lock.lock();
    }
  });
}

InferenceMetrics::~InferenceMetrics() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void InferenceMetrics::ObserveFinish(const Finish& finish) {
  const Usage& usage = finish.usage;
  const auto observe = [&](const char* name, const char* help, const std::vector<double>& bounds,
                           double value) { metrics_.Histogram(name, help, bounds).Observe(value); };
  metrics_
      .Counter("floe_inference_request_success_total", "Requests that ended, by reason",
               {{"finished_reason", ReasonLabel(finish.reason)}})
      .Increment();
  observe("floe_inference_request_queue_time_seconds", "From arrival to the first step",
          SecondsBounds(), absl::ToDoubleSeconds(usage.queue_time));
  observe("floe_inference_e2e_request_latency_seconds", "From arrival to the end", SecondsBounds(),
          absl::ToDoubleSeconds(usage.total_time));
  observe("floe_inference_request_prompt_tokens", "Tokens of the prompt", TokenBounds(),
          static_cast<double>(usage.prompt_tokens));
  if (usage.completion_tokens == 0) return;
  observe("floe_inference_time_to_first_token_seconds", "From arrival to the first token",
          SecondsBounds(), absl::ToDoubleSeconds(usage.time_to_first_token));
  metrics_
      .Counter("floe_inference_tier_met_total", "Answers by the best latency target that they met",
               {{"tier", std::string(TierName(finish.tier_met))}})
      .Increment();
  observe("floe_inference_request_generation_tokens", "Tokens generated", TokenBounds(),
          static_cast<double>(usage.completion_tokens));
}

void InferenceMetrics::ObserveGap(absl::Duration between_tokens) {
  metrics_
      .Histogram("floe_inference_inter_token_latency_seconds", "Between two tokens of a stream",
                 SecondsBounds())
      .Observe(absl::ToDoubleSeconds(between_tokens));
}

void InferenceMetrics::Sample() {
  for (const auto& model : pool_.Loaded()) {
    const SchedulerStats now = model->scheduler->stats();
    const runtime::Metrics::Labels labels = LabelOf(model->digest);
    const auto gauge = [&](const char* name, const char* help, double value) {
      metrics_.Gauge(name, help, labels).Set(value);
    };
    gauge("floe_inference_num_requests_running", "Requests being computed",
          static_cast<double>(now.running));
    gauge("floe_inference_num_requests_waiting", "Requests that wait",
          static_cast<double>(now.waiting));
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      runtime::Metrics::Labels of_tier = labels;
      of_tier["tier"] = TierName(static_cast<ServiceTier>(tier));
      metrics_.Gauge("floe_inference_tier_requests_waiting", "Requests that wait, by tier", of_tier)
          .Set(static_cast<double>(now.waiting_by_tier[tier]));
    }
    gauge("floe_inference_kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1",
          1 - static_cast<double>(now.kv.free_blocks) / static_cast<double>(now.kv.total_blocks));
    SchedulerStats& last = last_[model->digest];
    // A model that was dropped and loaded again counts from zero.
    if (now.steps < last.steps) last = {};
    const auto counter = [&](const char* name, const char* help, int64_t before, int64_t after) {
      if (after > before) {
        metrics_.Counter(name, help, labels).Increment(static_cast<double>(after - before));
      }
    };
    counter("floe_inference_prompt_tokens_total", "Prompt tokens of requests that ended",
            last.prompt_tokens, now.prompt_tokens);
    counter("floe_inference_generation_tokens_total", "Tokens generated by requests that ended",
            last.generation_tokens, now.generation_tokens);
    counter("floe_inference_iteration_tokens_total", "Tokens run through the model",
            last.step_tokens, now.step_tokens);
    counter("floe_inference_num_preemptions_total", "Sequences pre-empted for want of KV blocks",
            last.preemptions, now.preemptions);
    counter("floe_inference_num_rejected_total", "Requests refused by a full queue", last.rejected,
            now.rejected);
    last = now;
  }
}

}  // namespace floe::inference
