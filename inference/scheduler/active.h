// A request on its way through the scheduler; the scheduler's own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "base/status_macros.h"
#include "inference/sampling/logit_changes.h"
#include "inference/scheduler/draft.h"
#include "inference/scheduler/request.h"
#include "inference/scheduler/scheduler.h"
#include "inference/scheduler/stop_matcher.h"

namespace floe::inference {

// Owned by the queue of submissions, then by the thread.
struct Scheduler::Active {
  Active(Request r, EventSink s)
      : request(std::move(r)),
        sink(std::move(s)),
        stops(request.stop),
        changes(request.sampling, asked(), std::span(request.prompt).subspan(asked().size())) {}

  RequestId id = 0;
  Request request;
  EventSink sink;
  StopMatcher stops;
  LogitChanges changes;
  std::vector<int32_t> tokens;  // prompt and what was generated
  int64_t computed = 0;         // of them in the KV cache
  bool running = false;
  SequenceId sequence = 0;  // while running
  bool ended = false;
  bool started = false;  // has left the queue at least once
  std::vector<TokenScore> scores;
  int64_t prompt_told = 0;         // ids of the prompt whose log-probabilities have left
  std::vector<double> hidden_sum;  // of the first `pooled` ids' hidden states
  int64_t pooled = 0;
  Usage usage;
  absl::Duration submitted_at;
  absl::Duration blocks_counted_at;  // while running: usage.kv_block_time goes so far
  absl::Duration deadline;           // of the first token
  int64_t most_computed = 0;         // before any pre-emption, or after
  std::vector<int32_t> draft;  // in this step: the last id and guesses of what comes behind it
  DraftPace draft_pace;
  std::string continued_text;  // of an answer that moved here; leaves with the first new id

  // Brings text, stop texts and the constraint to where the other worker left off.
  absl::Status Replay() {
    for (size_t i = tokens.size() - static_cast<size_t>(request.continued); i < tokens.size();
         ++i) {
      if (request.text != nullptr) continued_text += stops.Push(request.text->Push(tokens[i]));
      if (request.constraint == nullptr) continue;
      FLOE_RETURN_IF_ERROR(request.constraint->Accept(tokens[i]));
    }
    return absl::OkStatus();
  }

  // Has its one token of the step followed by guesses, of which there are as many as is returned.
  int64_t Speculate(std::span<const int32_t> guesses, SequenceStep& step) {
    if (guesses.empty()) return 0;
    draft.assign(1, tokens.back());
    draft.insert(draft.end(), guesses.begin(), guesses.end());
    step.tokens = draft;
    step.all_logits = true;
    return static_cast<int64_t>(guesses.size());
  }

  // The prompt without the beginning of the answer.
  std::span<const int32_t> asked() const {
    return std::span(request.prompt)
        .first(request.prompt.size() - static_cast<size_t>(request.continued));
  }
  bool scoring() const { return request.score_from > 0; }
  bool embedding() const { return request.embed; }
  bool generating() const { return !scoring() && !embedding(); }
  bool tells_prompt() const {
    return request.prompt_logprobs && prompt_told < static_cast<int64_t>(asked().size());
  }
  // Logits are needed after every id that is computed.
  bool reads_all() const { return scoring() || tells_prompt(); }
  // The last id of a scored sequence predicts nothing that is asked for.
  int64_t target() const { return static_cast<int64_t>(tokens.size()) - (scoring() ? 1 : 0); }
  int64_t pending() const { return target() - computed; }
  // What may come from the prefix cache: the tokens after which nothing is asked for (any more).
  std::span<const int32_t> reusable() const {
    const auto done = static_cast<int64_t>(scores.size());
    const int64_t count = embedding()      ? pooled
                          : scoring()      ? request.score_from - 1 + done
                          : tells_prompt() ? std::max<int64_t>(prompt_told, 1) - 1
                                           : static_cast<int64_t>(tokens.size()) - 1;
    return std::span(tokens).first(static_cast<size_t>(count));
  }
  std::span<const int32_t> in_cache() const {
    return std::span(tokens).first(static_cast<size_t>(computed));
  }
  // A request without a salt shares with itself alone: what a pre-emption left of it.
  std::string cache_key() const {
    return request.cache_salt.empty() ? absl::StrCat("request ", id)
                                      : absl::StrCat("salt ", request.cache_salt);
  }

  // When the next token is due by the target of its tier.
  absl::Duration NextDeadline(const TierTarget& target) const {
    if (usage.completion_tokens == 0) return deadline;
    return submitted_at + usage.time_to_first_token +
           target.per_output_token * usage.completion_tokens;
  }
};

}  // namespace floe::inference
