// Iteration-level batching: before every step it is decided anew who takes part, so no request
// waits for another to finish.
//
// The scheduler owns its engine and one thread that steps it. All public methods are thread-safe.
// Answers come through the request's sink, on that thread. A simulation steps it by RunOnce
// instead, on a clock and an engine of its own. What throws while a step is made (memory that is
// not to be had) ends the requests of that step; the others go on.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "inference/engine/engine.h"
#include "inference/scheduler/draft.h"
#include "inference/scheduler/draft_model.h"
#include "inference/scheduler/plan.h"
#include "inference/scheduler/queue_state.h"
#include "inference/scheduler/request.h"
#include "inference/scheduler/step_cost.h"
#include "inference/scheduler/tier_targets.h"

namespace floe::inference {

struct SchedulerOptions {
  PlanLimits plan;
  QueueLimits queue;
  TierTargets targets;
  SpeculationLimits speculation;
  bool own_thread = true;  // false: nothing happens but in RunOnce, called by one thread
};

// Upper bounds of the sizes of steps that are counted apart; the last count is of larger ones.
inline constexpr std::array<double, 14> kStepSizeBounds = {
    1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

// Counters grow from the start of the scheduler.
struct SchedulerStats {
  int64_t running = 0;
  int64_t waiting = 0;
  std::array<int64_t, kNumTiers> running_by_tier = {};
  std::array<int64_t, kNumTiers> waiting_by_tier = {};
  int64_t waiting_tokens = 0;
  KvUsage kv;
  int64_t prompt_tokens = 0;  // of finished and running requests that left the queue
  int64_t generation_tokens = 0;
  int64_t steps = 0;
  std::array<int64_t, kStepSizeBounds.size() + 1> steps_by_size = {};
  int64_t step_tokens = 0;  // rows computed over all steps
  int64_t preemptions = 0;
  int64_t prefix_cache_queries = 0;  // prompt tokens that were looked up in the prefix cache
  int64_t prefix_cache_hits = 0;     // of them: found
  int64_t rejected = 0;              // QUEUE_FULL and DEADLINE_TOO_SOON
  int64_t drafted_tokens = 0;        // guesses that were checked
  int64_t accepted_tokens = 0;       // of them: right
};

class Scheduler {
 public:
  // Borrows `clock`, which must outlive the scheduler. `draft`, where given, is an engine of a
  // smaller model with the same ids: it guesses where the sequence itself suggests nothing.
  Scheduler(std::unique_ptr<Engine> engine, const Clock& clock, const SchedulerOptions& options,
            std::unique_ptr<Engine> draft = nullptr);
  // What is unfinished ends as kError with UNAVAILABLE.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // INVALID_ARGUMENT says which part of the request is wrong; RESOURCE_EXHAUSTED when the request
  // could never fit the KV cache, or with `retry_after_seconds` when the queue is full, in requests
  // or in tokens, and no lower tier has more than its guaranteed share of it (QUEUE_FULL), or when
  // what waits ahead takes longer than the client will wait (DEADLINE_TOO_SOON); UNAVAILABLE when
  // draining. The sink is called only after OK. A request that has not been begun may still end
  // with those two reasons: when others need its place, or when its deadline has come too near.
  absl::StatusOr<RequestId> Submit(Request request, EventSink sink);
  // Whether sequences of so many tokens together, which are submitted one after the other and give
  // nothing before their end, can come to it within `time_left`: DEADLINE_TOO_SOON as Submit says.
  absl::Status CanFinish(ServiceTier tier, int64_t tokens, absl::Duration time_left);
  // Ends the request before the next step, wherever it is: queued, in its prompt, decoding. Its
  // blocks are free when its last event arrives. An id that is not there (any more) is ignored.
  void Cancel(RequestId id);

  // Refuses new requests; those that are in go on.
  void StopAccepting();
  // Waits until nothing is queued or running; false at the timeout.
  bool WaitIdle(absl::Duration timeout);

  // For who drives a scheduler without a thread of its own: takes what was submitted and cancelled
  // and runs at most one step, here. False when nothing is left.
  bool RunOnce();

  SchedulerStats stats() const;
  const model::Blueprint& blueprint() const { return blueprint_; }

 private:
  struct Active;

  void Loop();
  // False when it is time to end.
  bool WaitForWork();
  // Takes what has been submitted and cancelled.
  void TakeOrders();
  void EndAll();
  // What takes part stands in `parts` before anything is done for it.
  void StepOnce(std::vector<Active*>& parts);
  // After an exception: of all requests, when nothing stands in `parts` yet.
  void EndStep(const std::vector<Active*>& parts, const absl::Status& why);
  // Refuse what was not begun: to make room for others, and what has become too late.
  void ShedOverflow();
  void ShedHopeless();
  void Refuse(Active& active, std::string_view reason, std::string_view message);
  Snapshot TakeSnapshot() const;
  // Gives a waiting request its place in the KV cache, with what is cached of it.
  void Start(Active& active);
  // The plan's limits, with as many prompt tokens as the running targets leave room for, and with
  // shares that hold what was promised.
  PlanLimits LimitsNow() const;
  QueuedWork WorkOf(const Active& active) const;
  void CountWork(Active& active);
  void Preempt(Active& active);
  void CountBlocks(Active& active);
  // The rows of a step that the next part's results begin at.
  struct RowCursor {
    int64_t logits = 0;
    int64_t hidden = 0;
  };
  // Adds guesses to decoding parts, within what the step has to spare.
  void AddDrafts(std::span<SequenceStep> steps, std::span<Active* const> parts);
  // Whether the sequence's next id can be drawn at once. One whose mask takes more work than a step
  // has for it sits out steps, in each of which the work goes on, so that the others need not wait.
  bool CanDraw(Active& active);
  void AfterDraft(Active& active, int64_t row);
  void AfterPart(Active& active, int64_t tokens, const RowCursor& rows);
  void Pool(Active& active, int64_t tokens, int64_t row);
  void EndEmbedding(Active& active);
  void Score(Active& active, int64_t tokens, int64_t row);
  void TellPrompt(Active& active, int64_t tokens, int64_t row);
  void AppendToken(Active& active, std::span<const float> logits);
  void End(Active& active, FinishReason reason, absl::Status status, Event event);
  void RemoveEnded();
  void PublishStats();

  const std::unique_ptr<Engine> engine_;           // the thread's, from the start of Loop
  const std::unique_ptr<DraftModel> draft_model_;  // as well; may be null
  const model::Blueprint blueprint_;
  const KvUsage kv_at_start_;
  const Clock& clock_;
  const SchedulerOptions options_;

  // The thread's own: requests by arrival, oldest first.
  std::deque<std::unique_ptr<Active>> active_;
  Logits logits_;
  std::array<double, kNumTiers> worked_ = {};  // tokens by tier, fading
  StepCost cost_;
  Sampler sampler_;
  std::vector<float> changed_logits_;
  int64_t mask_work_ = 0;  // of one sequence, in this step

  mutable std::mutex mutex_;
  std::condition_variable work_;  // for the thread
  std::condition_variable idle_;  // for WaitIdle
  // Guarded by mutex_.
  std::vector<std::unique_ptr<Active>> submitted_;
  std::vector<RequestId> cancelled_;
  RequestId next_id_ = 1;
  bool accepting_ = true;
  bool ending_ = false;
  bool idle_now_ = true;
  SchedulerStats stats_;
  QueueState queue_;
  double mean_answer_ = 64;  // tokens of the answers lately, at first a guess

  std::thread thread_;
};

}  // namespace floe::inference
