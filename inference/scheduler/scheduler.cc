#include "inference/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#include "inference/scheduler/active.h"

namespace floe::inference {
namespace {

// Most logits that one step of scoring keeps: 64 MiB.
constexpr int64_t kMaxScoreLogits = 16 << 20;
// After as many tokens, what was done before counts half for the tiers' shares.
constexpr double kWorkHalfLife = 16384;
// Of one answer in the mean length of all.
constexpr double kAnswerWeight = 1.0 / 32;

}  // namespace

Scheduler::Scheduler(std::unique_ptr<Engine> engine, const Clock& clock,
                     const SchedulerOptions& options)
    : engine_(std::move(engine)),
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
  TakeOrders();
  StepOnce();
  PublishStats();
  return !active_.empty();
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
    for (auto& active : submitted_) active_.push_back(std::move(active));
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
    if (active->scoring()) {
      state.max_part = std::max<int64_t>(1, kMaxScoreLogits / blueprint_.vocab_size);
    }
    snapshot.sequences.push_back(state);
  }
  return snapshot;
}

void Scheduler::StepOnce() {
  if (active_.empty()) return;
  const Plan plan = PlanStep(TakeSnapshot());
  std::vector<SequenceStep> steps;
  std::vector<Active*> parts;
  size_t next = 0;
  for (const auto& active : active_) {
    if (std::find(plan.preempt.begin(), plan.preempt.end(), active->id) != plan.preempt.end()) {
      Preempt(*active);
    }
  }
  for (const auto& active : active_) {
    if (next == plan.parts.size() || plan.parts[next].id != active->id) continue;
    if (!active->running) Start(*active);
    const std::span<const int32_t> tokens(active->tokens);
    const int64_t count = std::min(plan.parts[next].tokens, active->pending());
    steps.push_back({active->sequence, tokens.subspan(active->computed, count), active->scoring(),
                     active->embedding()});
    parts.push_back(active.get());
    ++next;
  }
  if (steps.empty()) return;
  AddDrafts(steps, parts);
  PublishStats();  // those that were admitted no longer fill the queue
  const absl::Duration begun = clock_.Monotonic();
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
  active.running = true;
  active.sequence = engine_->Open(active.cache_key());
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
    if (draft.empty()) continue;
    active.draft.assign(1, active.tokens.back());
    active.draft.insert(active.draft.end(), draft.begin(), draft.end());
    steps[i].tokens = active.draft;
    steps[i].all_logits = true;
    spare -= static_cast<int64_t>(draft.size());
  }
}

// Row by row as if each id had been computed in a step of its own, until a guess is not what was
// chosen: the rows behind it are of another text.
void Scheduler::AfterDraft(Active& active, int64_t row) {
  const std::vector<int32_t> draft = std::exchange(active.draft, {});
  const auto drafted = static_cast<int64_t>(draft.size()) - 1;
  active.usage.computed_tokens += drafted + 1;
  CountBlocks(active);
  int64_t accepted = 0;
  while (true) {
    ++active.computed;
    if (!active.request.cache_salt.empty()) engine_->Share(active.sequence, active.in_cache());
    AppendToken(active, logits_.Row(row + accepted));
    if (active.ended || accepted == drafted || active.tokens.back() != draft[accepted + 1]) break;
    ++accepted;
  }
  if (!active.ended) engine_->Truncate(active.sequence, active.computed);
  active.draft_pace.Note(drafted, accepted);
  const std::lock_guard lock(mutex_);
  stats_.drafted_tokens += drafted;
  stats_.accepted_tokens += accepted;
}

void Scheduler::AfterPart(Active& active, int64_t tokens, const RowCursor& rows) {
  if (!active.draft.empty()) {
    AfterDraft(active, rows.logits);
    return;
  }
  if (active.scoring()) Score(active, tokens, rows.logits);
  if (active.embedding()) Pool(active, tokens, rows.hidden);
  active.computed += tokens;
  active.usage.computed_tokens += tokens;
  CountBlocks(active);
  if (!active.request.cache_salt.empty()) engine_->Share(active.sequence, active.in_cache());
  CountWork(active);
  if (active.pending() > 0) return;
  if (active.scoring()) {
    Event event;
    event.scores = std::move(active.scores);
    End(active, FinishReason::kScored, absl::OkStatus(), std::move(event));
  } else if (active.embedding()) {
    EndEmbedding(active);
  } else {
    AppendToken(active, logits_.Row(rows.logits));
  }
}

// One id after the other, so that the sum does not depend on how the sequence was cut into parts.
void Scheduler::Pool(Active& active, int64_t tokens, int64_t row) {
  active.hidden_sum.resize(static_cast<size_t>(logits_.hidden_size));
  for (int64_t i = 0; i < tokens; ++i) {
    if (active.computed + i < active.pooled) continue;  // recomputed after a pre-emption
    ++active.pooled;
    if (active.request.last_token && active.pooled < active.target()) continue;
    const std::span<const float> hidden = logits_.HiddenRow(row + i);
    for (size_t k = 0; k < hidden.size(); ++k) active.hidden_sum[k] += hidden[k];
  }
}

void Scheduler::EndEmbedding(Active& active) {
  // The mean's direction is the sum's.
  double squares = 0;
  for (const double value : active.hidden_sum) squares += value * value;
  const double length = std::sqrt(squares);
  if (!std::isfinite(length) || length == 0) {
    End(active, FinishReason::kError,
        absl::InternalError(absl::StrCat("the hidden states sum to a vector of length ", length,
                                         ", which has no direction")),
        {});
    return;
  }
  Event event;
  event.embedding.reserve(active.hidden_sum.size());
  for (const double value : active.hidden_sum) {
    event.embedding.push_back(static_cast<float>(value / length));
  }
  End(active, FinishReason::kEmbedded, absl::OkStatus(), std::move(event));
}

void Scheduler::Score(Active& active, int64_t tokens, int64_t row) {
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t index = active.computed + i + 1;  // of the id that this row predicts
    // Recomputed after a pre-emption: it has its score.
    if (index < active.request.score_from + static_cast<int64_t>(active.scores.size())) continue;
    const std::span<const float> logits = logits_.Row(row + i);
    const int32_t id = active.tokens[index];
    active.scores.push_back(
        {static_cast<float>(LogProbability(logits, id)), Likeliest(logits) == id});
  }
}

void Scheduler::AppendToken(Active& active, std::span<const float> logits) {
  const Request& request = active.request;
  const int64_t position = static_cast<int64_t>(active.tokens.size());
  const std::span<const float> changed = active.changes.Apply(logits, changed_logits_);
  const absl::StatusOr<int32_t> chosen =
      request.constraint == nullptr
          ? sampler_.Draw(changed, request.sampling, position)
          : DrawAllowed(sampler_, changed, request.sampling, position, *request.constraint);
  if (!chosen.ok()) {
    End(active, FinishReason::kError, chosen.status(), {});
    return;
  }
  const int32_t id = *chosen;
  Event event;
  event.ids.push_back(id);
  active.tokens.push_back(id);
  active.changes.Push(id);
  if (++active.usage.completion_tokens == 1) {
    active.usage.time_to_first_token = clock_.Monotonic() - active.submitted_at;
    event.cached_tokens = active.usage.cached_tokens;
  }
  const bool stop_id =
      std::find(request.stop_ids.begin(), request.stop_ids.end(), id) != request.stop_ids.end();
  const bool complete = request.constraint != nullptr && request.constraint->complete();
  if (request.top_logprobs >= 0 && !stop_id) {
    event.logprobs.push_back(request.sampled_logprobs
                                 ? sampler_.LogProbabilities(id, request.top_logprobs)
                                 : ModelLogProbabilities(logits, id, request.top_logprobs));
  }
  event.text = std::exchange(active.continued_text, "");
  if (request.text != nullptr && !stop_id) event.text += active.stops.Push(request.text->Push(id));
  const bool full =
      active.usage.completion_tokens >= request.max_tokens || position + 1 >= blueprint_.context;
  if (!stop_id && !complete && !active.stops.matched() && !full) {
    active.sink(std::move(event));
    return;
  }
  if (request.text != nullptr && !active.stops.matched()) {
    event.text += active.stops.Push(request.text->Flush());
    event.text += active.stops.Flush();
  }
  const bool stopped = stop_id || complete || active.stops.matched();
  End(active, stopped ? FinishReason::kStop : FinishReason::kLength, absl::OkStatus(),
      std::move(event));
}

void Scheduler::End(Active& active, FinishReason reason, absl::Status status, Event event) {
  if (active.ended) return;
  active.ended = true;
  if (active.running) {
    CountBlocks(active);
    engine_->Close(active.sequence);
  }
  active.running = false;
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
