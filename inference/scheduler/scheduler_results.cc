// What becomes of the rows of a step: scores, embeddings, new tokens.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#include "inference/scheduler/active.h"
#include "inference/scheduler/scheduler.h"

namespace floe::inference {

bool Scheduler::CanDraw(Active& active) {
  return active.request.constraint == nullptr || active.request.constraint->Prepare(mask_work_);
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
    if (!CanDraw(active)) break;
    ++accepted;
  }
  CountWork(active);
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
  const int64_t last_row = rows.logits + (active.reads_all() ? tokens - 1 : 0);
  if (active.scoring()) Score(active, tokens, rows.logits);
  if (active.tells_prompt()) TellPrompt(active, tokens, rows.logits);
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
  } else if (active.request.max_tokens == 0) {
    End(active, FinishReason::kLength, absl::OkStatus(), {});
  } else {
    AppendToken(active, logits_.Row(last_row));
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
  const int64_t dimensions = active.request.dimensions;
  if (dimensions > 0) active.hidden_sum.resize(static_cast<size_t>(dimensions));
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

void Scheduler::TellPrompt(Active& active, int64_t tokens, int64_t row) {
  const std::span<const int32_t> prompt = active.asked();
  Event event;
  if (active.prompt_told == 0) {
    event.prompt_logprobs.push_back({.id = prompt[0], .first = true});
    active.prompt_told = 1;
  }
  for (int64_t i = 0; i < tokens && active.tells_prompt(); ++i) {
    const int64_t index = active.computed + i + 1;  // of the id that this row predicts
    if (index < active.prompt_told) continue;       // recomputed after a pre-emption
    event.prompt_logprobs.push_back(
        ModelLogProbabilities(logits_.Row(row + i), prompt[index], active.request.top_logprobs));
    ++active.prompt_told;
  }
  if (!event.prompt_logprobs.empty()) active.sink(std::move(event));
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

}  // namespace floe::inference
