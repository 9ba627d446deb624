#include "trainer/pretrainer.h"

#include <cmath>
#include <exception>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "model/accounting.h"
#include "trainer/batch_source.h"
#include "trainer/compute.h"
#include "trainer/internal/adamw.h"
#include "trainer/internal/sample_text.h"
#include "trainer/internal/train_step.h"
#include "trainer/internal/transformer.h"
#include "trainer/schedule.h"
#include "trainer/state_store.h"

namespace floe::trainer {
namespace {

constexpr absl::Duration kReportInterval = absl::Seconds(1);

// The border of c10's exceptions.
template <class Result, class Body>
Result CatchTorch(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "out of memory; lower batch_size or sequence_length and raise gradient_accumulation");
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what()));
  }
}

// Blueprint, settings and data: states of another run are not taken up.
std::string RunIdentity(const PretrainOptions& options) {
  PretrainSpec spec;
  spec.blueprint = options.blueprint;
  spec.train = options.settings;
  return absl::StrCat(PretrainSpecJson(spec), " vocab_size ", options.blueprint.vocab_size, " of ",
                      options.data);
}

// Operations that one trained token costs: a causal token attends to half the sequence on average.
double FlopsPerToken(const PretrainOptions& options) {
  const int64_t attended = (options.settings.sequence_length + 1) / 2;
  return 3.0 * static_cast<double>(model::ForwardFlopsPerToken(options.blueprint, attended));
}

}  // namespace

struct Pretrainer::State {
  State(const PretrainOptions& options, const tokenizer::Tokenizer& tokenizer, const Clock& clock,
        Transformer built, TokenFile train_tokens, std::optional<TokenFile> held_out_tokens,
        StateStore opened)
      : options(options),
        tokenizer(tokenizer),
        clock(clock),
        transformer(std::move(built)),
        adamw(transformer.parameters(), options.settings),
        train(std::move(train_tokens)),
        held_out(std::move(held_out_tokens)),
        store(std::move(opened)) {}

  const PretrainOptions options;
  const tokenizer::Tokenizer& tokenizer;
  const Clock& clock;
  Transformer transformer;
  AdamW adamw;  // borrows the transformer
  const TokenFile train;
  const std::optional<TokenFile> held_out;
  StateStore store;
  std::optional<BatchSource> source;  // borrows train
  TrainingPosition position;
  // Since the last report.
  int64_t reported_step = 0;
  absl::Duration reported_at;
  absl::Duration training;  // time in steps since then

  absl::Status Resume(TrainingObserver& observer);
  absl::Status TrainToEnd(TrainingObserver& observer, std::stop_token stop);
  absl::Status OneStep();
  void Evaluate();
  void Sample(TrainingObserver& observer, std::string_view when);
  void Save(TrainingObserver& observer);
  void Report(TrainingObserver& observer, absl::Duration started, int64_t first_step);
  std::vector<StateTensor> Tensors() const;
};

std::vector<StateTensor> Pretrainer::State::Tensors() const {
  std::vector<StateTensor> tensors = adamw.State();
  for (const Parameter& parameter : transformer.parameters()) {
    tensors.push_back(
        {"p/" + parameter.name(),
         {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.value.numel())}});
  }
  return tensors;
}

absl::Status Pretrainer::State::Resume(TrainingObserver& observer) {
  FLOE_ASSIGN_OR_RETURN(source, BatchSource::Create(train, options.settings.sequence_length,
                                                    Rng::SeedFor(options.settings.seed, "data")));
  FLOE_ASSIGN_OR_RETURN(const std::optional<StateFile> saved,
                        store.LoadNewest([&](const absl::Status& damage) {
                          observer.OnLine(LineLevel::kWarning, StdView(damage.message()));
                        }));
  position = {};
  position.run = RunIdentity(options);
  position.threads = options.threads;
  if (!saved) return absl::OkStatus();
  if (saved->position().run != position.run) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.state_folder.string(),
                     " holds states of another run (blueprint, settings or data "
                     "differ); delete it to train from the start"));
  }
  if (saved->position().threads != options.threads) {
    observer.OnLine(LineLevel::kWarning,
                    absl::StrCat("the saved state was computed with ", saved->position().threads,
                                 " threads, now there are ", options.threads,
                                 ": results may differ in the last bits"));
  }
  FLOE_RETURN_IF_ERROR(adamw.Restore(*saved));
  for (Parameter& parameter : transformer.parameters()) {
    FLOE_RETURN_IF_ERROR(saved->Read(
        "p/" + parameter.name(),
        {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.value.numel())}));
  }
  FLOE_RETURN_IF_ERROR(source->Seek(saved->position().cursor));
  position = saved->position();
  position.threads = options.threads;
  observer.OnLine(LineLevel::kInfo, absl::StrCat("resumed at step ", position.step));
  return absl::OkStatus();
}

absl::Status Pretrainer::State::OneStep() {
  const TrainSettings& settings = options.settings;
  std::vector<MicroBatch> batches;
  for (int64_t i = 0; i < settings.gradient_accumulation; ++i) {
    std::vector<int64_t> ids, targets;
    source->Next(settings.batch_size, ids, targets);
    position.tokens += static_cast<int64_t>(targets.size());
    batches.push_back(MakeMicroBatch(ids, targets, settings.sequence_length));
  }
  const double rate = LearningRate(settings, position.step);
  const double loss = AccumulateGradients(transformer, batches);
  const double norm = std::isfinite(loss) ? adamw.GradNorm() : 0;
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "training diverged: %s is no finite number at step %d (learning rate %g); lower "
        "learning_rate, raise warmup_steps or set grad_clip",
        std::isfinite(loss) ? "the gradient's norm" : "the loss", position.step + 1, rate));
  }
  adamw.Step(position.step + 1, rate, norm);
  ++position.step;
  position.last_loss = loss;
  position.cursor = source->cursor();
  return absl::OkStatus();
}

void Pretrainer::State::Evaluate() {
  const TrainSettings& settings = options.settings;
  if (!held_out) return;
  position.held_out = EvaluateLoss(transformer, *held_out, settings.sequence_length,
                                   settings.batch_size, settings.held_out_tokens);
}

void Pretrainer::State::Sample(TrainingObserver& observer, std::string_view when) {
  const auto text = SampleText(transformer, tokenizer, options.settings.sample_prompt,
                               {.seed = options.settings.seed});
  if (!text.ok()) {
    observer.OnLine(LineLevel::kWarning, StdView(text.status().message()));
    return;
  }
  observer.OnLine(LineLevel::kSample, absl::StrCat(AbslView(when), ": ", *text));
}

void Pretrainer::State::Save(TrainingObserver& observer) {
  const absl::Status saved = store.Save(position, Tensors());
  if (saved.ok()) {
    observer.OnLine(LineLevel::kInfo, absl::StrCat("state saved at step ", position.step));
    return;
  }
  observer.OnLine(LineLevel::kWarning,
                  absl::StrCat("no state saved at step ", position.step, ": ", saved.message(),
                               "; training goes on, and the last saved state stays"));
}

void Pretrainer::State::Report(TrainingObserver& observer, absl::Duration started,
                               int64_t first_step) {
  const TrainSettings& settings = options.settings;
  const int64_t step_tokens =
      settings.batch_size * settings.sequence_length * settings.gradient_accumulation;
  const absl::Duration now = clock.Monotonic();
  TrainProgress progress;
  progress.step = position.step;
  progress.steps = settings.steps;
  progress.loss = position.last_loss;
  if (position.held_out > 0) progress.held_out_loss = position.held_out;
  const double seconds = absl::ToDoubleSeconds(training);
  if (seconds > 0) {
    progress.tokens_per_second =
        static_cast<double>((position.step - reported_step) * step_tokens) / seconds;
  }
  progress.gflops = progress.tokens_per_second * FlopsPerToken(options) * 1e-9;
  progress.learning_rate = LearningRate(settings, position.step - 1);
  progress.remaining = (now - started) / (position.step - first_step) *
                       static_cast<double>(settings.steps - position.step);
  observer.OnProgress(progress);
  reported_step = position.step;
  reported_at = now;
  training = absl::ZeroDuration();
}

absl::Status Pretrainer::State::TrainToEnd(TrainingObserver& observer, std::stop_token stop) {
  const TrainSettings& settings = options.settings;
  if (position.step == 0) Sample(observer, "before");
  const absl::Duration started = clock.Monotonic();
  const int64_t first_step = position.step;
  reported_step = first_step;
  reported_at = started;
  training = absl::ZeroDuration();
  while (position.step < settings.steps) {
    if (stop.stop_requested()) {
      if (position.step > first_step) Save(observer);
      return absl::CancelledError(absl::StrCat("stopped at step ", position.step));
    }
    const absl::Duration before = clock.Monotonic();
    FLOE_RETURN_IF_ERROR(OneStep());
    const absl::Duration took = clock.Monotonic() - before;
    training += took;
    position.seconds += absl::ToDoubleSeconds(took);
    const bool last = position.step == settings.steps;
    const bool evaluate = last || position.step % settings.eval_interval == 0;
    if (evaluate) Evaluate();
    if (evaluate || position.step == first_step + 1 ||
        clock.Monotonic() - reported_at >= kReportInterval) {
      Report(observer, started, first_step);
    }
    if (last || position.step % settings.checkpoint_interval == 0) Save(observer);
  }
  Sample(observer, "after");
  return absl::OkStatus();
}

Pretrainer::Pretrainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pretrainer::~Pretrainer() = default;

absl::StatusOr<std::unique_ptr<Pretrainer>> Pretrainer::Create(
    const PretrainOptions& options, const tokenizer::Tokenizer& tokenizer, const Clock& clock) {
  FLOE_RETURN_IF_ERROR(JudgeBlas(LoadedLibraries()));
  FLOE_ASSIGN_OR_RETURN(TokenFile train, TokenFile::Open(options.train_tokens));
  std::optional<TokenFile> held_out;
  if (options.settings.held_out_fraction > 0) {
    FLOE_ASSIGN_OR_RETURN(held_out, TokenFile::Open(options.held_out_tokens));
    if (held_out->size() < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("held_out_fraction ", options.settings.held_out_fraction,
                       " holds no document out; raise it, or set it to 0 to train without"));
    }
  }
  if (train.vocab_size() > options.blueprint.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokens are of a vocabulary of ", train.vocab_size(),
                     ", the blueprint's vocab_size is ", options.blueprint.vocab_size));
  }
  FLOE_ASSIGN_OR_RETURN(StateStore store, StateStore::Open(options.state_folder));
  return CatchTorch<absl::StatusOr<std::unique_ptr<Pretrainer>>>(
      [&]() -> absl::StatusOr<std::unique_ptr<Pretrainer>> {
        FLOE_ASSIGN_OR_RETURN(Transformer transformer,
                              Transformer::Create(options.blueprint, options.settings.seed));
        return std::unique_ptr<Pretrainer>(new Pretrainer(
            std::make_unique<State>(options, tokenizer, clock, std::move(transformer),
                                    std::move(train), std::move(held_out), std::move(store))));
      });
}

absl::StatusOr<PretrainOutcome> Pretrainer::Run(TrainingObserver& observer, std::stop_token stop) {
  FLOE_RETURN_IF_ERROR(ConfigureCompute(state_->options.threads));
  FLOE_RETURN_IF_ERROR(CatchTorch<absl::Status>([&]() -> absl::Status {
    FLOE_RETURN_IF_ERROR(state_->Resume(observer));
    return state_->TrainToEnd(observer, stop);
  }));
  const TrainingPosition& position = state_->position;
  return PretrainOutcome{.steps = position.step,
                         .tokens = position.tokens,
                         .loss = position.last_loss,
                         .held_out_loss = position.held_out,
                         .seconds = position.seconds};
}

absl::StatusOr<std::string> Pretrainer::Export(
    const std::filesystem::path& folder, const model::Parents& parents,
    const std::map<std::string, std::string>& tokenizer_files) const {
  model::CheckpointContents contents;
  contents.blueprint = state_->options.blueprint;
  contents.parents = parents;
  contents.tensors = state_->transformer.Export();
  contents.tokenizer_files = tokenizer_files;
  return model::WriteCheckpoint(folder, contents);
}

}  // namespace floe::trainer
