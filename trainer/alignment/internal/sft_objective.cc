#include "trainer/alignment/internal/sft_objective.h"

#include <algorithm>

#include "base/status_macros.h"
#include "trainer/alignment/internal/questions.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {

SftObjective::SftObjective(Transformer& transformer, const SftTask& task,
                           const AlignOptions& options, Questions& questions)
    : transformer_(transformer),
      task_(task),
      options_(options),
      questions_(questions),
      order_(static_cast<int64_t>(task.train.size()), Rng::SeedFor(options.settings.seed, "data")) {
  int64_t tokens = 0;
  for (const Rendered& text : task.train) tokens += static_cast<int64_t>(text.ids.size());
  flops_ = AlignmentFlopsPerToken(transformer.blueprint(), tokens,
                                  static_cast<int64_t>(task.train.size()));
}

absl::StatusOr<StepResult> SftObjective::AddGradients() {
  StepResult result;
  int64_t answer_tokens = 0;
  std::vector<MicroBatch> batches;
  for (int64_t i = 0; i < options_.settings.gradient_accumulation; ++i) {
    std::vector<const Rendered*> texts;
    for (int64_t b = 0; b < options_.settings.batch_size; ++b) {
      texts.push_back(&task_.train[order_.Next()]);
      result.tokens += static_cast<int64_t>(texts.back()->ids.size()) - 1;
    }
    FLOE_ASSIGN_OR_RETURN(const PaddedBatch batch, PadBatch(texts));
    answer_tokens += batch.answer_tokens;
    batches.push_back(MakeMicroBatch(batch.ids, batch.targets, batch.length));
  }
  result.loss = AccumulateGradients(transformer_, batches);
  result.metrics["answer_tokens"] = static_cast<double>(answer_tokens);
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
    const MicroBatch batch = MakeMicroBatch(padded->ids, padded->targets, padded->length);
    loss +=
        LinearCrossEntropy(transformer_.Hidden(batch.ids), transformer_.head(), batch.targets, 1.0)
            .item<double>();
    tokens += padded->answer_tokens;
  }
  if (tokens == 0) return std::nullopt;
  return HeldOutResult{loss / static_cast<double>(tokens), {}};
}

void SftObjective::Sample(TrainingObserver& observer, std::string_view when) {
  questions_.Tell(transformer_, observer, when);
}

}  // namespace floe::trainer
