#include "trainer/alignment/internal/sft_objective.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "base/status_macros.h"
#include "trainer/alignment/internal/answer_batch.h"
#include "trainer/alignment/internal/questions.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

at::Tensor SummedLoss(const Transformer& transformer, const AnswerBatch& batch, double scale) {
  return LinearCrossEntropy(HiddenOfAnswers(transformer, batch), transformer.head(), batch.targets,
                            scale);
}

}  // namespace

SftObjective::SftObjective(Transformer& transformer, const SftTask& task,
                           const AlignOptions& options, Questions& questions)
    : transformer_(transformer),
      task_(task),
      options_(options),
      questions_(questions),
      order_(static_cast<int64_t>(task.train.size()), Rng::SeedFor(options.settings.seed, "data")) {
  TextCounts counts;
  for (const Rendered& text : task.train) counts.Add(text);
  flops_ = AlignmentFlopsPerToken(transformer.blueprint(), counts);
}

absl::StatusOr<StepResult> SftObjective::AddGradients() {
  const TrainSettings& settings = options_.settings;
  StepResult result;
  std::vector<const Rendered*> texts;
  for (int64_t i = 0; i < settings.batch_size * settings.gradient_accumulation; ++i) {
    texts.push_back(&task_.train[order_.Next()]);
    result.tokens += static_cast<int64_t>(texts.back()->ids.size()) - 1;
  }
  // How a step is cut changes nothing but the padding, which is least among texts of one length.
  std::stable_sort(texts.begin(), texts.end(), [](const Rendered* a, const Rendered* b) {
    return a->ids.size() < b->ids.size();
  });
  std::vector<AnswerBatch> batches;
  std::vector<int64_t> answer_tokens;
  const auto size = static_cast<size_t>(settings.batch_size);
  for (size_t first = 0; first < texts.size(); first += size) {
    FLOE_ASSIGN_OR_RETURN(const PaddedBatch padded,
                          PadBatch(std::span(texts).subspan(first, size)));
    batches.push_back(MakeAnswerBatch(padded));
    answer_tokens.push_back(padded.answer_tokens);
  }
  result.loss = AccumulateGradients(answer_tokens, [&](size_t i, double scale) {
    return SummedLoss(transformer_, batches[i], scale);
  });
  result.metrics["answer_tokens"] =
      static_cast<double>(std::accumulate(answer_tokens.begin(), answer_tokens.end(), int64_t{0}));
  return result;
}

std::optional<HeldOutResult> SftObjective::Evaluate() {
  if (task_.held_out.empty()) return std::nullopt;
  const at::NoGradGuard no_grad;
  double loss = 0;
  int64_t tokens = 0;
  const auto size = static_cast<size_t>(options_.settings.batch_size);
  for (size_t first = 0; first < task_.held_out.size(); first += size) {
    std::vector<const Rendered*> texts;
    for (size_t i = first; i < std::min(first + size, task_.held_out.size()); ++i) {
      texts.push_back(&task_.held_out[i]);
    }
    const auto padded = PadBatch(texts);
    if (!padded.ok()) continue;  // nothing to measure in it
    loss += SummedLoss(transformer_, MakeAnswerBatch(*padded), 1.0).item<double>();
    tokens += padded->answer_tokens;
  }
  if (tokens == 0) return std::nullopt;
  return HeldOutResult{loss / static_cast<double>(tokens), {}};
}

void SftObjective::Sample(TrainingObserver& observer, std::string_view when) {
  questions_.Tell(transformer_, observer, when);
}

}  // namespace floe::trainer
