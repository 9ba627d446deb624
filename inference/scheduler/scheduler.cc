#include "inference/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/thrown.h"
#include "inference/scheduler/active.h"

namespace floe::inference {
namespace {

// Most logits that one sequence's part of a step keeps: 64 MiB.
constexpr int64_t kMaxScoreLogits = 16 << 20;
// After as many tokens, what was done before counts half for the tiers' shares.
constexpr double kWorkHalfLife = 16384;
// On the masks of all sequences in one step (TokenConstraint::Prepare): some eight milliseconds.
constexpr int64_t kMaskWork = 1 << 17;
// Of one answer in the mean length of all.
constexpr double kAnswerWeight = 1.0 / 32;

}  // namespace

Scheduler::Scheduler(std::unique_ptr<Engine> engine, const Clock& clock,
                     const SchedulerOptions& options, std::unique_ptr<Engine> draft)
    : engine_(std::move(engine)),
      draft_model_(draft == nullptr ? nullptr : std::make_unique<DraftModel>(std::move(draft))),
      blueprint_(engine_->blueprint()),
      kv_at_start_(engine_->kv()),
      clock_(clock),
      options_([&] {
        SchedulerOptions bounded = options;
        bounded.plan.max_step_tokens =
            std::min(bounded.plan.max_step_tokens, engine_->max_step_tokens());
        return bounded;
      }()) {
  stats_.kv = kv_at_start_;
  if (options_.own_thread) thread_ = std::thread([this] { Loop(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    ending_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
  EndAll();
}

void Scheduler::Cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  cancelled_.push_back(id);
  work_.notify_one();
}

void Scheduler::StopAccepting() {
  const std::lock_guard lock(mutex_);
  accepting_ = false;
}

bool Scheduler::WaitIdle(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return idle_now_; });
}

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  SchedulerStats stats = stats_;
  const QueuedWork waiting = queue_.Total();
  stats.waiting = waiting.requests;
  stats.waiting_tokens = waiting.prompt_tokens;
  for (size_t i = 0; i < kNumTiers; ++i) stats.waiting_by_tier[i] = queue_.tiers[i].requests;
  return stats;
}

void Scheduler::Loop() {
  while (WaitForWork()) RunOnce();
}

bool Scheduler::RunOnce() {
  std::vector<Active*> parts;
  try {
    TakeOrders();
    StepOnce(parts);
  } catch (...) {
    EndStep(parts, StatusOfThrown("the step failed"));
  }
  PublishStats();
  return !active_.empty();
}

void Scheduler::EndStep(const std::vector<Active*>& parts, const absl::Status& why) {
  for (const auto& active : active_) {
    if (parts.empty() || std::find(parts.begin(), parts.end(), active.get()) != parts.end()) {
      End(*active, FinishReason::kError, why, {});
    }
  }
  RemoveEnded();
}

void Scheduler::EndAll() {
  TakeOrders();
  for (const auto& active : active_) {
    End(*active, FinishReason::kError,
        absl::UnavailableError("the worker is shutting down; send the request again"), {});
  }
  RemoveEnded();
  PublishStats();
}

bool Scheduler::WaitForWork() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [this] {
    return ending_ || !active_.empty() || !submitted_.empty() || !cancelled_.empty();
  });
  return !ending_;
}

void Scheduler::TakeOrders() {
  std::vector<RequestId> cancelled;
  {
    const std::lock_guard lock(mutex_);
    // All or, when it throws, none.
    active_.insert(active_.end(), std::move_iterator(submitted_.begin()),
                   std::move_iterator(submitted_.end()));
    submitted_.clear();
    cancelled = std::exchange(cancelled_, {});
  }
  for (const RequestId id : cancelled) {
    const auto found = std::find_if(active_.begin(), active_.end(),
                                    [id](const auto& active) { return active->id == id; });
    if (found == active_.end()) continue;
    End(**found, FinishReason::kCancelled, absl::CancelledError("the caller cancelled"), {});
  }
  ShedOverflow();
  ShedHopeless();
  RemoveEnded();
  PublishStats();
}

Snapshot Scheduler::TakeSnapshot() const {
  Snapshot snapshot;
  const KvUsage kv = engine_->kv();
  snapshot.free_blocks = kv.free_blocks;
  snapshot.block_tokens = kv.block_tokens;
  snapshot.limits = LimitsNow();
  snapshot.now = clock_.Monotonic();
  snapshot.worked = worked_;
  for (const auto& active : active_) {
    SequenceState state{active->id, active->running, active->computed, active->pending()};
    if (active->running) {
      const KvHolding holding = engine_->Holding(active->sequence);
      state.blocks = holding.blocks;
      state.shared_blocks = holding.shared_blocks;
    }
    state.tier = active->request.tier;
    state.answer = WorkOf(*active).answer_tokens;
    state.resumed = active->started && !active->running;
    state.deadline = active->NextDeadline(options_.targets.tiers[static_cast<size_t>(state.tier)]);
    if (active->reads_all()) {
      state.max_part = std::max<int64_t>(1, kMaxScoreLogits / blueprint_.vocab_size);
    }
    snapshot.sequences.push_back(state);
  }
  return snapshot;
}

void Scheduler::StepOnce(std::vector<Active*>& parts) {
  if (active_.empty()) return;
  const Plan plan = PlanStep(TakeSnapshot());
  std::vector<SequenceStep> steps;
  size_t next = 0;
  for (const auto& active : active_) {
    if (std::find(plan.preempt.begin(), plan.preempt.end(), active->id) != plan.preempt.end()) {
      Preempt(*active);
    }
  }
  const auto constrained = std::count_if(active_.begin(), active_.end(), [](const auto& active) {
    return active->request.constraint != nullptr;
  });
  mask_work_ = kMaskWork / std::max<int64_t>(1, constrained);
  for (const auto& active : active_) {
    if (next == plan.parts.size() || plan.parts[next].id != active->id) continue;
    const PlannedPart& part = plan.parts[next++];
    if (part.tokens >= active->pending() && !CanDraw(*active)) continue;
    parts.push_back(active.get());
    if (!active->running) Start(*active);
    const std::span<const int32_t> tokens(active->tokens);
    const int64_t count = std::min(part.tokens, active->pending());
    steps.push_back({active->sequence, tokens.subspan(active->computed, count), active->reads_all(),
                     active->embedding()});
  }
  if (steps.empty()) return;
  PublishStats();  // those that were admitted no longer fill the queue
  const absl::Duration begun = clock_.Monotonic();
  AddDrafts(steps, parts);
  const absl::Status status = engine_->Step(steps, &logits_);
  int64_t step_tokens = 0;
  for (const SequenceStep& step : steps) step_tokens += static_cast<int64_t>(step.tokens.size());
  cost_.Observe(step_tokens, clock_.Monotonic() - begun);
  RowCursor rows;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!status.ok()) {
      End(*parts[i], FinishReason::kError,
          absl::InternalError(absl::StrCat("the engine failed: ", status.message())), {});
      continue;
    }
    const int64_t tokens = static_cast<int64_t>(steps[i].tokens.size());
    AfterPart(*parts[i], tokens, rows);
    if (steps[i].hidden_states) {
      rows.hidden += tokens;
    } else {
      rows.logits += steps[i].all_logits ? tokens : 1;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    ++stats_.steps;
    stats_.step_tokens += step_tokens;
    const auto bound = std::lower_bound(kStepSizeBounds.begin(), kStepSizeBounds.end(),
                                        static_cast<double>(step_tokens));
    ++stats_.steps_by_size[static_cast<size_t>(bound - kStepSizeBounds.begin())];
  }
  RemoveEnded();
}

void Scheduler::Start(Active& active) {
  active.sequence = engine_->Open(active.cache_key());
  active.running = true;
  active.computed = engine_->Adopt(active.sequence, active.reusable());
  active.most_computed = std::max(active.most_computed, active.computed);
  active.blocks_counted_at = clock_.Monotonic();
  if (active.started) return;
  active.started = true;
  active.usage.queue_time = clock_.Monotonic() - active.submitted_at;
  active.usage.cached_tokens = active.computed;
  if (active.request.cache_salt.empty()) return;
  const std::lock_guard lock(mutex_);
  stats_.prefix_cache_queries += active.usage.prompt_tokens;
  stats_.prefix_cache_hits += active.usage.cached_tokens;
}

// What is run again after a pre-emption is no work for its tier.
void Scheduler::CountWork(Active& active) {
  const auto tokens = static_cast<double>(active.computed - active.most_computed);
  if (tokens <= 0) return;
  active.most_computed = active.computed;
  const double fading = std::exp2(-tokens / kWorkHalfLife);
  for (double& worked : worked_) worked *= fading;
  worked_[static_cast<size_t>(active.request.tier)] += tokens;
}

// What nobody needs until then is still there when its turn comes again.
void Scheduler::Preempt(Active& active) {
  CountBlocks(active);
  engine_->Share(active.sequence, active.in_cache());
  engine_->Close(active.sequence);
  active.running = false;
  active.computed = 0;
  if (draft_model_ != nullptr) draft_model_->Forget(active.id);
  const std::lock_guard lock(mutex_);
  ++stats_.preemptions;
}

void Scheduler::CountBlocks(Active& active) {
  const absl::Duration now = clock_.Monotonic();
  active.usage.kv_block_time +=
      engine_->Holding(active.sequence).blocks * (now - active.blocks_counted_at);
  active.blocks_counted_at = now;
}

// Guesses stay inside the block that the sequence's one token goes to: they take nothing from the
// pool that the plan has not counted.
void Scheduler::AddDrafts(std::span<SequenceStep> steps, std::span<Active* const> parts) {
  int64_t spare = std::min(options_.speculation.max_step_tokens, options_.plan.max_step_tokens);
  for (const SequenceStep& step : steps) spare -= static_cast<int64_t>(step.tokens.size());
  std::vector<DraftModel::Ask> asks;
  std::vector<size_t> asking;
  for (size_t i = 0; i < parts.size() && spare > 0; ++i) {
    Active& active = *parts[i];
    if (!active.generating() || active.usage.completion_tokens == 0 || active.pending() > 1) {
      continue;
    }
    const int64_t block = kv_at_start_.block_tokens;
    const int64_t most = active.draft_pace.Next(
        std::min({options_.speculation.max_draft, spare, block - 1 - active.computed % block,
                  active.request.max_tokens - active.usage.completion_tokens - 1,
                  blueprint_.context - static_cast<int64_t>(active.tokens.size()) - 1}));
    const std::span<const int32_t> draft = LookUpDraft(active.tokens, most);
    if (!draft.empty()) {
      spare -= active.Speculate(draft, steps[i]);
    } else if (draft_model_ != nullptr && most > 0) {
      asks.push_back({active.id, active.tokens, &active.request.sampling, most, {}});
      asking.push_back(i);
      spare -= most;
    }
  }
  if (asks.empty()) return;
  draft_model_->Guess(asks);
  for (size_t k = 0; k < asks.size(); ++k) {
    parts[asking[k]]->Speculate(asks[k].guesses, steps[asking[k]]);
  }
}

void Scheduler::End(Active& active, FinishReason reason, absl::Status status, Event event) {
  if (active.ended) return;
  if (active.running) {
    CountBlocks(active);
    engine_->Close(active.sequence);
  }
  active.running = false;
  if (draft_model_ != nullptr) draft_model_->Forget(active.id);
  active.usage.total_time = clock_.Monotonic() - active.submitted_at;
  if (!active.started) active.usage.queue_time = active.usage.total_time;
  {
    // Before the last event: who gets it sees its blocks counted as free.
    const std::lock_guard lock(mutex_);
    stats_.kv = engine_->kv();
    if (active.started) stats_.prompt_tokens += active.usage.prompt_tokens;
    if (active.usage.completion_tokens > 0) {
      mean_answer_ += kAnswerWeight * (active.usage.completion_tokens - mean_answer_);
    }
    stats_.generation_tokens += active.usage.completion_tokens;
  }
  event.finish = Finish{reason, std::move(status), active.usage,
                        TierMet(options_.targets, active.request.tier, active.usage)};
  active.sink(std::move(event));
  active.ended = true;  // last: what throws before is tried again
}

void Scheduler::RemoveEnded() {
  std::erase_if(active_, [](const auto& active) { return active->ended; });
}

void Scheduler::PublishStats() {
  const std::lock_guard lock(mutex_);
  stats_.kv = engine_->kv();
  stats_.running = 0;
  stats_.running_by_tier = {};
  queue_ = {{}, cost_};
  for (const auto& active : submitted_) {
    queue_.tiers[static_cast<size_t>(active->request.tier)] += WorkOf(*active);
  }
  for (const auto& active : active_) {
    const auto tier = static_cast<size_t>(active->request.tier);
    if (active->running) {
      ++stats_.running;
      ++stats_.running_by_tier[tier];
    } else {
      queue_.tiers[tier] += WorkOf(*active);
    }
  }
  idle_now_ = active_.empty() && submitted_.empty();
  if (idle_now_) idle_.notify_all();
}

}  // namespace floe::inference
