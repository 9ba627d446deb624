// The worker's numbers: vLLM's names and buckets where it has them (`vllm:`), OpenTelemetry's GenAI
// conventions beside them, and our own prefix for what neither knows.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "inference/scheduler/scheduler.h"
#include "services/inference/model_pool.h"
#include "services/runtime/metrics.h"

namespace floe::inference {

// Thread-safe. Samples the schedulers' gauges and counters several times a second on a thread of
// its own; what belongs to one request is observed when it ends. Borrows both.
//
// Gauges of load are of the models that are loaded. While none is they stand at 0 without a
// `model_name`: who picks a worker by them finds them from the start, and no load of a model that
// has gone.
class InferenceMetrics {
 public:
  InferenceMetrics(runtime::Metrics& metrics, const ModelPool& pool);
  ~InferenceMetrics();
  InferenceMetrics(const InferenceMetrics&) = delete;
  InferenceMetrics& operator=(const InferenceMetrics&) = delete;

  // `digest` is the checkpoint's.
  void ObserveFinish(const std::string& digest, const Finish& finish);
  void ObserveGap(const std::string& digest, absl::Duration between_tokens);

  // Takes a sample now, besides those that the thread takes.
  void Sample();

 private:
  prometheus::Histogram& Gaps(const std::string& digest);
  void ObserveGenAi(const std::string& digest, const Finish& finish);
  void SampleLoad(const runtime::Metrics::Labels& labels, const SchedulerStats& now);
  void RemoveLoad(const runtime::Metrics::Labels& labels);
  void SampleWork(const runtime::Metrics::Labels& labels, const SchedulerStats& last,
                  const SchedulerStats& now);

  runtime::Metrics& metrics_;
  const ModelPool& pool_;
  std::mutex sampling_;                         // one sample at a time
  std::map<std::string, SchedulerStats> last_;  // of loaded models by digest; guarded by sampling_
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace floe::inference
