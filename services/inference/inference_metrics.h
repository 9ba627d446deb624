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
class InferenceMetrics {
 public:
  InferenceMetrics(runtime::Metrics& metrics, const ModelPool& pool);
  ~InferenceMetrics();
  InferenceMetrics(const InferenceMetrics&) = delete;
  InferenceMetrics& operator=(const InferenceMetrics&) = delete;

  // `digest` is the checkpoint's.
  void ObserveFinish(const std::string& digest, const Finish& finish);
  void ObserveGap(const std::string& digest, absl::Duration between_tokens);

 private:
  void ObserveGenAi(const std::string& digest, const Finish& finish);
  void Sample();

  runtime::Metrics& metrics_;
  const ModelPool& pool_;
  std::map<std::string, SchedulerStats> last_;  // by digest; the sampling thread's
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace floe::inference
