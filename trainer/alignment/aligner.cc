#include "trainer/alignment/aligner.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "trainer/alignment/internal/dpo_objective.h"
#include "trainer/alignment/internal/questions.h"
#include "trainer/alignment/internal/sft_objective.h"
#include "trainer/compute.h"
#include "trainer/internal/catch_torch.h"
#include "trainer/internal/training_loop.h"
#include "trainer/state_store.h"

namespace floe::trainer {
namespace {

std::string RunIdentity(const AlignOptions& options) {
  PretrainSpec spec;
  spec.train = options.settings;
  spec.train.sample_interval.reset();  // the same bits with any
  return absl::StrCat(PretrainSpecJson(spec), " ", options.identity);
}

absl::Status CheckText(const Rendered& text, const model::Blueprint& blueprint) {
  const auto tokens = static_cast<int64_t>(text.ids.size());
  if (tokens < 2 || tokens > blueprint.context + 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "line ", text.line, ": the text has ", tokens, " tokens; the base's context of ",
        blueprint.context, " wants 2 to ", blueprint.context + 1));
  }
  for (const tokenizer::TokenId id : text.ids) {
    if (id < 0 || id >= blueprint.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", text.line, ": token ", id, " lies outside the base's vocabulary of ",
          blueprint.vocab_size, "; use the base's own tokenizer"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTask(const SftTask& task, const model::Blueprint& blueprint) {
  if (task.train.empty()) return absl::InvalidArgumentError("there is no example to train on");
  for (const auto* texts : {&task.train, &task.held_out}) {
    for (const Rendered& text : *texts) FLOE_RETURN_IF_ERROR(CheckText(text, blueprint));
  }
  return absl::OkStatus();
}

absl::Status CheckTask(const DpoTask& task, const model::Blueprint& blueprint) {
  FLOE_RETURN_IF_ERROR(Validate(task.loss));
  if (task.train.empty()) return absl::InvalidArgumentError("there is no pair to train on");
  for (const auto* pairs : {&task.train, &task.held_out}) {
    for (const RenderedPair& pair : *pairs) {
      FLOE_RETURN_IF_ERROR(CheckText(pair.chosen, blueprint));
      FLOE_RETURN_IF_ERROR(CheckText(pair.rejected, blueprint));
    }
  }
  return absl::OkStatus();
}

}  // namespace

struct Aligner::State {
  const AlignOptions options;
  const tokenizer::Tokenizer& tokenizer;
  const Clock& clock;
  const AlignTask task;
  Transformer transformer;
  StateStore store;

  absl::StatusOr<TrainOutcome> Train(Objective& objective, TrainingObserver& observer,
                                     std::stop_token stop) {
    DataParallel alone(nullptr, transformer.parameters());
    TrainingLoop loop({transformer, objective, store, clock, alone},
                      {.settings = options.settings,
                       .identity = RunIdentity(options),
                       .folder = options.state_folder.string(),
                       .gemm_gflops = MeasureStepGflops(
                           transformer.blueprint(),
                           options.settings.batch_size * transformer.blueprint().context),
                       .threads = options.threads});
    return loop.Run(observer, stop);
  }
};

Aligner::Aligner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Aligner::~Aligner() = default;

absl::StatusOr<std::unique_ptr<Aligner>> Aligner::Create(const model::Checkpoint& base,
                                                         const tokenizer::Tokenizer& tokenizer,
                                                         AlignTask task,
                                                         const AlignOptions& options,
                                                         const Clock& clock) {
  FLOE_RETURN_IF_ERROR(JudgeBlas(LoadedLibraries()));
  FLOE_RETURN_IF_ERROR(
      std::visit([&](const auto& one) { return CheckTask(one, base.blueprint()); }, task));
  FLOE_ASSIGN_OR_RETURN(StateStore store, StateStore::Open(options.state_folder));
  return CatchTorch<absl::StatusOr<std::unique_ptr<Aligner>>>(
      [&]() -> absl::StatusOr<std::unique_ptr<Aligner>> {
        FLOE_ASSIGN_OR_RETURN(Transformer transformer, Transformer::Load(base));
        return std::unique_ptr<Aligner>(new Aligner(
            std::unique_ptr<State>(new State{options, tokenizer, clock, std::move(task),
                                             std::move(transformer), std::move(store)})));
      });
}

absl::StatusOr<TrainOutcome> Aligner::Run(TrainingObserver& observer, std::stop_token stop) {
  State& state = *state_;
  FLOE_RETURN_IF_ERROR(ConfigureCompute(state.options.threads));
  return CatchTorch<absl::StatusOr<TrainOutcome>>([&]() -> absl::StatusOr<TrainOutcome> {
    Questions questions(state.tokenizer, state.options.chat, state.options.questions);
    if (const auto* sft = std::get_if<SftTask>(&state.task)) {
      SftObjective objective(state.transformer, *sft, state.options, questions);
      return state.Train(objective, observer, stop);
    }
    DpoObjective objective(state.transformer, std::get<DpoTask>(state.task), state.options,
                           questions);
    FLOE_RETURN_IF_ERROR(objective.Prepare(observer, stop));
    return state.Train(objective, observer, stop);
  });
}

absl::StatusOr<std::string> Aligner::Export(
    const std::filesystem::path& folder, const model::Parents& parents,
    const std::map<std::string, std::string>& tokenizer_files) const {
  model::CheckpointContents contents;
  contents.blueprint = state_->transformer.blueprint();
  contents.parents = parents;
  contents.tensors = state_->transformer.Export();
  contents.tokenizer_files = tokenizer_files;
  return model::WriteCheckpoint(folder, contents);
}

}  // namespace floe::trainer
