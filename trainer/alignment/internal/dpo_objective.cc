#include "trainer/alignment/internal/dpo_objective.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "trainer/alignment/internal/answer_batch.h"
#include "trainer/alignment/internal/questions.h"

namespace floe::trainer {
namespace {

// All chosen texts of some pairs, then all rejected ones, and the sum of each answer's
// log-probabilities.
struct ScoredBatch {
  AnswerBatch batch;
  at::Tensor log_probabilities;  // [A], of the answers' tokens
  std::vector<double> sums;      // [2 B]
};

absl::StatusOr<ScoredBatch> ScoreBatch(const Transformer& transformer,
                                       std::span<const Rendered* const> texts) {
  ScoredBatch scored;
  FLOE_ASSIGN_OR_RETURN(const PaddedBatch padded, PadBatch(texts));
  scored.batch = MakeAnswerBatch(padded);
  scored.log_probabilities = LinearLogProbabilities(HiddenOfAnswers(transformer, scored.batch),
                                                    transformer.head(), scored.batch.targets);
  scored.sums.resize(texts.size());
  const float* value = scored.log_probabilities.data_ptr<float>();
  for (const int64_t sequence : scored.batch.sequence) {
    scored.sums[static_cast<size_t>(sequence)] += *value++;
  }
  return scored;
}

template <typename Pairs>
std::vector<const Rendered*> TextsOf(const Pairs& pairs) {
  std::vector<const Rendered*> texts;
  for (const RenderedPair* pair : pairs) texts.push_back(&pair->chosen);
  for (const RenderedPair* pair : pairs) texts.push_back(&pair->rejected);
  return texts;
}

int64_t TokensOf(const RenderedPair& pair) {
  return static_cast<int64_t>(pair.chosen.ids.size() + pair.rejected.ids.size()) - 2;
}

size_t LengthOf(const RenderedPair& pair) {
  return std::max(pair.chosen.ids.size(), pair.rejected.ids.size());
}

}  // namespace

DpoObjective::DpoObjective(Transformer& transformer, const DpoTask& task,
                           const AlignOptions& options, Questions& questions)
    : transformer_(transformer),
      task_(task),
      options_(options),
      questions_(questions),
      order_(static_cast<int64_t>(task.train.size()), Rng::SeedFor(options.settings.seed, "data")) {
  TextCounts counts;
  for (const RenderedPair& pair : task.train) {
    counts.Add(pair.chosen);
    counts.Add(pair.rejected);
  }
  flops_ = AlignmentFlopsPerToken(transformer.blueprint(), counts);
}

absl::StatusOr<ReferenceLogProbabilities> DpoObjective::ScorePairs(
    std::span<const RenderedPair> pairs) const {
  std::vector<const RenderedPair*> some;
  for (const RenderedPair& pair : pairs) some.push_back(&pair);
  FLOE_ASSIGN_OR_RETURN(const ScoredBatch scored, ScoreBatch(transformer_, TextsOf(some)));
  const auto middle = scored.sums.begin() + static_cast<std::ptrdiff_t>(pairs.size());
  return ReferenceLogProbabilities{{scored.sums.begin(), middle}, {middle, scored.sums.end()}};
}

absl::Status DpoObjective::Prepare(TrainingObserver& observer, std::stop_token stop) {
  const size_t total = task_.train.size() + task_.held_out.size();
  const std::string key = absl::StrCat(options_.identity, " batch ", options_.settings.batch_size);
  FLOE_ASSIGN_OR_RETURN(auto kept, ReadReference(task_.reference, key, total));
  if (kept) {
    reference_ = *std::move(kept);
    observer.OnLine(LineLevel::kInfo, "reference log-probabilities of an earlier attempt are here");
    return absl::OkStatus();
  }
  const at::NoGradGuard no_grad;
  ReferenceLogProbabilities all;
  const auto size = static_cast<size_t>(options_.settings.batch_size);
  for (const auto* pairs : {&task_.train, &task_.held_out}) {
    for (size_t first = 0; first < pairs->size(); first += size) {
      if (stop.stop_requested()) {
        return absl::CancelledError("stopped while the reference was computed");
      }
      const std::span<const RenderedPair> part(pairs->data() + first,
                                               std::min(size, pairs->size() - first));
      FLOE_ASSIGN_OR_RETURN(const ReferenceLogProbabilities some, ScorePairs(part));
      all.chosen.insert(all.chosen.end(), some.chosen.begin(), some.chosen.end());
      all.rejected.insert(all.rejected.end(), some.rejected.begin(), some.rejected.end());
    }
  }
  FLOE_RETURN_IF_ERROR(WriteReference(task_.reference, key, all));
  reference_ = std::move(all);
  observer.OnLine(LineLevel::kInfo,
                  absl::StrCat("reference log-probabilities of ", total, " pairs computed"));
  return absl::OkStatus();
}

absl::Status DpoObjective::Learn(std::span<const Member> members, double weight, Sums& sums) {
  std::vector<const RenderedPair*> pairs;
  for (const Member& member : members) pairs.push_back(member.pair);
  FLOE_ASSIGN_OR_RETURN(const ScoredBatch scored, ScoreBatch(transformer_, TextsOf(pairs)));
  std::vector<double> gradients(scored.sums.size());  // by each text's sum
  for (size_t i = 0; i < members.size(); ++i) {
    const size_t rejected = members.size() + i;
    const PairLogProbabilities pair{.policy_chosen = scored.sums[i],
                                    .policy_rejected = scored.sums[rejected],
                                    .reference_chosen = reference_.chosen[members[i].reference],
                                    .reference_rejected = reference_.rejected[members[i].reference],
                                    .chosen_tokens = pairs[i]->chosen.answer_tokens(),
                                    .rejected_tokens = pairs[i]->rejected.answer_tokens()};
    const PreferenceLoss loss = ComputePreferenceLoss(task_.loss, pair);
    gradients[i] = weight * loss.d_policy_chosen;
    gradients[rejected] = weight * loss.d_policy_rejected;
    const double margin = loss.reward_chosen - loss.reward_rejected;
    sums.loss += loss.loss;
    sums.metrics["rewards/chosen"] += loss.reward_chosen;
    sums.metrics["rewards/rejected"] += loss.reward_rejected;
    sums.metrics["rewards/margins"] += margin;
    sums.metrics["rewards/accuracies"] += margin > 0 ? 1 : 0;
    sums.metrics["logps/chosen"] += pair.policy_chosen;
    sums.metrics["logps/rejected"] += pair.policy_rejected;
  }
  if (weight == 0) return absl::OkStatus();
  at::Tensor gradient = at::empty_like(scored.log_probabilities);
  float* value = gradient.data_ptr<float>();
  for (const int64_t sequence : scored.batch.sequence) {
    *value++ = static_cast<float>(gradients[static_cast<size_t>(sequence)]);
  }
  scored.log_probabilities.backward(gradient);
  return absl::OkStatus();
}

absl::StatusOr<StepResult> DpoObjective::AddGradients() {
  const TrainSettings& settings = options_.settings;
  const auto total = static_cast<double>(settings.batch_size * settings.gradient_accumulation);
  StepResult result;
  Sums sums;
  std::vector<Member> members;
  for (int64_t i = 0; i < settings.batch_size * settings.gradient_accumulation; ++i) {
    const size_t index = order_.Next();
    members.push_back({&task_.train[index], index});
    result.tokens += TokensOf(task_.train[index]);
  }
  // How a step is cut changes nothing but the padding, which is least among pairs of one length.
  std::stable_sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return LengthOf(*a.pair) < LengthOf(*b.pair);
  });
  const auto size = static_cast<size_t>(settings.batch_size);
  for (size_t first = 0; first < members.size(); first += size) {
    FLOE_RETURN_IF_ERROR(Learn(std::span(members).subspan(first, size), 1.0 / total, sums));
  }
  result.loss = sums.loss / total;
  for (const auto& [name, sum] : sums.metrics) result.metrics[name] = sum / total;
  return result;
}

std::optional<HeldOutResult> DpoObjective::Evaluate() {
  if (task_.held_out.empty()) return std::nullopt;
  const at::NoGradGuard no_grad;
  Sums sums;
  const auto size = static_cast<size_t>(options_.settings.batch_size);
  for (size_t first = 0; first < task_.held_out.size(); first += size) {
    std::vector<Member> members;
    for (size_t i = first; i < std::min(first + size, task_.held_out.size()); ++i) {
      members.push_back({&task_.held_out[i], task_.train.size() + i});
    }
    if (!Learn(members, 0, sums).ok()) return std::nullopt;
  }
  const auto total = static_cast<double>(task_.held_out.size());
  HeldOutResult result{sums.loss / total, {}};
  for (const auto& [name, sum] : sums.metrics) result.metrics[name] = sum / total;
  return result;
}

void DpoObjective::Sample(TrainingObserver& observer, std::string_view when) {
  questions_.Tell(transformer_, observer, when);
}

}  // namespace floe::trainer
