#include "services/inference/inference_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace floe::inference {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(250);

// vLLM's bounds (vllm/v1/metrics/loggers.py); those between tokens begin lower, since a small model
// on a CPU is faster than its lowest.
const std::vector<double>& FirstTokenBounds() {
  static const std::vector<double> bounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                             0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                             20,    40,    80,   160,  640,  2560};
  return bounds;
}

const std::vector<double>& InterTokenBounds() {
  static const std::vector<double> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                             0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5,
                                             5,     7.5,    10,    20,   40,    80};
  return bounds;
}

const std::vector<double>& RequestBounds() {
  static const std::vector<double> bounds = {0.01, 0.03, 0.1, 0.3, 0.5, 0.8, 1,    1.5,
                                             2,    2.5,  5,   10,  15,  20,  30,   40,
                                             50,   60,   120, 240, 480, 960, 1920, 7680};
  return bounds;
}

const std::vector<double>& TokenBounds() {
  static const std::vector<double> bounds = {1,   2,    5,    10,   20,    50,    100,   200,
                                             500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
  return bounds;
}

// OpenTelemetry's, for gen_ai.server.*.
const std::vector<double>& DurationBounds() {
  static const std::vector<double> bounds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                             1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
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
std::string ShortDigest(const std::string& digest) { return digest.substr(0, 12); }

runtime::Metrics::Labels LabelOf(const std::string& digest) {
  return {{"model_name", ShortDigest(digest)}};
}

runtime::Metrics::Labels OfTier(runtime::Metrics::Labels labels, size_t tier) {
  labels["tier"] = TierName(static_cast<ServiceTier>(tier));
  return labels;
}

// The gauges of a model's load.
struct NamedGauge {
  const char* name;
  const char* help;
};
constexpr NamedGauge kRunning = {"vllm:num_requests_running", "Requests being computed"};
constexpr NamedGauge kWaiting = {"vllm:num_requests_waiting", "Requests that wait"};
constexpr NamedGauge kKvUsage = {"vllm:kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1"};
constexpr NamedGauge kPrefixBlocks = {"floe_inference_prefix_cache_blocks",
                                      "Free KV blocks that hold a prefix to begin with"};
constexpr NamedGauge kTierWaiting = {"floe_inference_tier_requests_waiting",
                                     "Requests that wait, by tier"};

}  // namespace

InferenceMetrics::InferenceMetrics(runtime::Metrics& metrics, const ModelPool& pool)
    : metrics_(metrics), pool_(pool) {
  Sample();
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

void InferenceMetrics::ObserveFinish(const std::string& digest, const Finish& finish) {
  const runtime::Metrics::Labels model = LabelOf(digest);
  runtime::Metrics::Labels ended = model;
  ended["finished_reason"] = ReasonLabel(finish.reason);
  metrics_.Counter("vllm:request_success_total", "Requests that ended, by reason", ended)
      .Increment();
  const Usage& usage = finish.usage;
  const auto seconds = [&](const char* name, const char* help, const std::vector<double>& bounds,
                           absl::Duration value) {
    metrics_.Histogram(name, help, bounds, model).Observe(absl::ToDoubleSeconds(value));
  };
  const auto tokens = [&](const char* name, const char* help, int64_t value) {
    metrics_.Histogram(name, help, TokenBounds(), model).Observe(static_cast<double>(value));
  };
  seconds("vllm:request_queue_time_seconds", "From arrival to the first step", RequestBounds(),
          usage.queue_time);
  seconds("vllm:request_inference_time_seconds", "From the first step to the end", RequestBounds(),
          usage.total_time - usage.queue_time);
  seconds("vllm:e2e_request_latency_seconds", "From arrival to the end", RequestBounds(),
          usage.total_time);
  tokens("vllm:request_prompt_tokens", "Tokens of the prompt", usage.prompt_tokens);
  ObserveGenAi(digest, finish);
  metrics_
      .Counter("floe_inference_kv_block_seconds_total",
               "Blocks of the KV cache times the seconds that requests held them")
      .Increment(absl::ToDoubleSeconds(usage.kv_block_time));
  if (usage.completion_tokens == 0) return;
  seconds("vllm:time_to_first_token_seconds", "From arrival to the first token", FirstTokenBounds(),
          usage.time_to_first_token);
  seconds("vllm:request_prefill_time_seconds", "From the first step to the first token",
          RequestBounds(), usage.time_to_first_token - usage.queue_time);
  seconds("vllm:request_decode_time_seconds", "From the first token to the end", RequestBounds(),
          usage.total_time - usage.time_to_first_token);
  tokens("vllm:request_generation_tokens", "Tokens generated", usage.completion_tokens);
  Gaps(digest);  // told from the first answer on, also where its tokens came all at once
  metrics_
      .Counter("floe_inference_tier_met_total", "Answers by the best latency target that they met",
               {{"tier", std::string(TierName(finish.tier_met))}})
      .Increment();
}

// The OpenTelemetry GenAI conventions, as Prometheus writes their names.
void InferenceMetrics::ObserveGenAi(const std::string& digest, const Finish& finish) {
  const Usage& usage = finish.usage;
  runtime::Metrics::Labels labels = {
      {"gen_ai_operation_name",
       finish.reason == FinishReason::kEmbedded ? "embeddings" : "text_completion"},
      {"gen_ai_provider_name", "floe"},
      {"gen_ai_request_model", ShortDigest(digest)}};
  const auto observe = [&](const char* name, const char* help, const std::vector<double>& bounds,
                           absl::Duration value) {
    metrics_.Histogram(name, help, bounds, labels).Observe(absl::ToDoubleSeconds(value));
  };
  observe("gen_ai_server_request_duration_seconds", "From arrival to the end", DurationBounds(),
          usage.total_time);
  if (usage.completion_tokens == 0) return;
  observe("gen_ai_server_time_to_first_token_seconds", "From arrival to the first token",
          FirstTokenBounds(), usage.time_to_first_token);
  if (usage.completion_tokens == 1) return;
  observe("gen_ai_server_time_per_output_token_seconds", "Each token after the first, on average",
          InterTokenBounds(),
          (usage.total_time - usage.time_to_first_token) / (usage.completion_tokens - 1));
}

void InferenceMetrics::ObserveGap(const std::string& digest, absl::Duration between_tokens) {
  Gaps(digest).Observe(absl::ToDoubleSeconds(between_tokens));
}

prometheus::Histogram& InferenceMetrics::Gaps(const std::string& digest) {
  return metrics_.Histogram("vllm:inter_token_latency_seconds", "Between two tokens of a stream",
                            InterTokenBounds(), LabelOf(digest));
}

void InferenceMetrics::Sample() {
  const std::lock_guard lock(sampling_);
  const auto loaded = pool_.Loaded();
  std::map<std::string, SchedulerStats> before = std::exchange(last_, {});
  for (const auto& model : loaded) {
    const SchedulerStats now = model->scheduler->stats();
    const runtime::Metrics::Labels labels = LabelOf(model->digest);
    SchedulerStats last = before[model->digest];
    before.erase(model->digest);
    // A model that was dropped and loaded again counts from zero.
    if (now.steps < last.steps) last = {};
    SampleLoad(labels, now);
    SampleWork(labels, last, now);
    last_[model->digest] = now;
  }
  for (const auto& [digest, stats] : before) RemoveLoad(LabelOf(digest));
  loaded.empty() ? SampleLoad({}, {}) : RemoveLoad({});
}

void InferenceMetrics::SampleLoad(const runtime::Metrics::Labels& labels,
                                  const SchedulerStats& now) {
  const auto set = [&](const NamedGauge& gauge, double value) {
    metrics_.Gauge(gauge.name, gauge.help, labels).Set(value);
  };
  set(kRunning, static_cast<double>(now.running));
  set(kWaiting, static_cast<double>(now.waiting));
  const auto total = static_cast<double>(now.kv.total_blocks);
  set(kKvUsage, total > 0 ? 1 - static_cast<double>(now.kv.free_blocks) / total : 0);
  set(kPrefixBlocks, static_cast<double>(now.kv.cached_blocks));
  for (size_t tier = 0; tier < kNumTiers; ++tier) {
    metrics_.Gauge(kTierWaiting.name, kTierWaiting.help, OfTier(labels, tier))
        .Set(static_cast<double>(now.waiting_by_tier[tier]));
  }
}

void InferenceMetrics::RemoveLoad(const runtime::Metrics::Labels& labels) {
  for (const NamedGauge& gauge : {kRunning, kWaiting, kKvUsage, kPrefixBlocks}) {
    metrics_.RemoveGauge(gauge.name, labels);
  }
  for (size_t tier = 0; tier < kNumTiers; ++tier) {
    metrics_.RemoveGauge(kTierWaiting.name, OfTier(labels, tier));
  }
}

void InferenceMetrics::SampleWork(const runtime::Metrics::Labels& labels,
                                  const SchedulerStats& last, const SchedulerStats& now) {
  // Each is there from the start: a rate needs the zero that it grew from.
  const auto counter = [&](const char* name, const char* help, int64_t before, int64_t after) {
    metrics_.Counter(name, help, labels)
        .Increment(static_cast<double>(std::max<int64_t>(0, after - before)));
  };
  counter("vllm:prompt_tokens_total", "Prompt tokens of requests that ended", last.prompt_tokens,
          now.prompt_tokens);
  counter("vllm:generation_tokens_total", "Tokens generated by requests that ended",
          last.generation_tokens, now.generation_tokens);
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache",
          last.prefix_cache_queries, now.prefix_cache_queries);
  counter("vllm:prefix_cache_hits_total", "Of them: found there", last.prefix_cache_hits,
          now.prefix_cache_hits);
  std::vector<double> steps;
  for (size_t i = 0; i < now.steps_by_size.size(); ++i) {
    steps.push_back(static_cast<double>(now.steps_by_size[i] - last.steps_by_size[i]));
  }
  metrics_
      .Histogram("vllm:iteration_tokens_total", "Tokens of a step",
                 {kStepSizeBounds.begin(), kStepSizeBounds.end()}, labels)
      .ObserveMultiple(steps, static_cast<double>(now.step_tokens - last.step_tokens));
  counter("vllm:spec_decode_num_draft_tokens_total", "Guessed tokens that were checked",
          last.drafted_tokens, now.drafted_tokens);
  counter("vllm:spec_decode_num_accepted_tokens_total", "Of them: right", last.accepted_tokens,
          now.accepted_tokens);
  counter("vllm:num_preemptions_total", "Sequences pre-empted for want of KV blocks",
          last.preemptions, now.preemptions);
  counter("floe_inference_num_rejected_total", "Requests refused by a full queue", last.rejected,
          now.rejected);
}

}  // namespace floe::inference
