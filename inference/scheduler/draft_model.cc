#include "inference/scheduler/draft_model.h"

#include <algorithm>

namespace floe::inference {

void DraftModel::Guess(std::span<Ask> asks) {
  std::vector<bool> done(asks.size());
  for (size_t i = 0; i < asks.size(); ++i) {
    asks[i].guesses.clear();
    done[i] = asks[i].most < 1 || asks[i].tokens.empty() || !MakeRoom(asks[i]);
  }
  while (StepOnce(asks, done)) {
  }
}

// For all of it before any of it is run: what is begun is not given up for want of room, to be run
// again from its beginning at every step.
bool DraftModel::MakeRoom(const Ask& ask) {
  const int64_t length = static_cast<int64_t>(ask.tokens.size()) + ask.most;
  if (length <= engine_->blueprint().context) {
    const Read& read = Align(ask);
    const int64_t missing = length - static_cast<int64_t>(read.tokens.size());
    if (engine_->Reserve(read.sequence, missing).ok()) return true;
  }
  Forget(ask.request);
  return false;
}

DraftModel::Read& DraftModel::Align(const Ask& ask) {
  const auto [found, is_new] = reads_.try_emplace(ask.request);
  Read& read = found->second;
  if (is_new) read.sequence = engine_->Open();
  // The last id is always run: what follows it is what is asked for.
  const size_t most = std::min(read.tokens.size(), ask.tokens.size() - 1);
  const auto differs =
      std::mismatch(read.tokens.begin(), read.tokens.begin() + static_cast<int64_t>(most),
                    ask.tokens.begin())
          .first;
  read.tokens.erase(differs, read.tokens.end());
  engine_->Truncate(read.sequence, static_cast<int64_t>(read.tokens.size()));
  return read;
}

bool DraftModel::StepOnce(std::span<Ask> asks, std::vector<bool>& done) {
  std::vector<SequenceStep> steps;
  std::vector<size_t> askers;
  int64_t room = engine_->max_step_tokens();
  for (size_t i = 0; i < asks.size(); ++i) {
    if (done[i]) continue;
    const Ask& ask = asks[i];
    const Read& read = reads_.at(ask.request);
    const auto held = static_cast<int64_t>(read.tokens.size());
    const auto given = static_cast<int64_t>(ask.tokens.size());
    const int64_t wanted = given + static_cast<int64_t>(ask.guesses.size()) - held;
    const int64_t count = std::min(wanted, room);
    if (count < 1) continue;
    steps.push_back({read.sequence, held < given ? ask.tokens.subspan(static_cast<size_t>(held),
                                                                      static_cast<size_t>(count))
                                                 : std::span(ask.guesses).last(1)});
    askers.push_back(i);
    room -= count;
  }
  if (steps.empty() || !engine_->Step(steps, &logits_).ok()) return false;
  for (size_t row = 0; row < askers.size(); ++row) {
    Ask& ask = asks[askers[row]];
    Read& read = reads_.at(ask.request);
    read.tokens.insert(read.tokens.end(), steps[row].tokens.begin(), steps[row].tokens.end());
    const size_t known = ask.tokens.size() + ask.guesses.size();
    if (read.tokens.size() < known) {
      done[askers[row]] = true;  // more of it at the next call
      continue;
    }
    ask.guesses.push_back(sampler_.Draw(logits_.Row(static_cast<int64_t>(row)), *ask.sampling,
                                        static_cast<int64_t>(known)));
    done[askers[row]] = static_cast<int64_t>(ask.guesses.size()) >= ask.most;
  }
  return true;
}

void DraftModel::Forget(int64_t request) {
  const auto found = reads_.find(request);
  if (found == reads_.end()) return;
  engine_->Close(found->second.sequence);
  reads_.erase(found);
}

}  // namespace floe::inference
