#include "trainer/pretrainer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "model/accounting.h"
#include "trainer/batch_lookahead.h"
#include "trainer/compute.h"
#include "trainer/internal/catch_torch.h"
#include "trainer/internal/data_parallel.h"
#include "trainer/internal/route.h"
#include "trainer/internal/sample_text.h"
#include "trainer/internal/thread_replicas.h"
#include "trainer/internal/train_step.h"
#include "trainer/internal/training_loop.h"
#include "trainer/internal/transformer.h"
#include "trainer/state_store.h"

namespace floe::trainer {
namespace {

// Next-token prediction on windows of token files.
class NextToken final : public Objective {
 public:
  NextToken(const PretrainOptions& options, const tokenizer::Tokenizer& tokenizer,
            Transformer& transformer, BatchSource source, const std::optional<TokenFile>& held_out,
            DataParallel& parallel)
      : options_(options),
        tokenizer_(tokenizer),
        transformer_(transformer),
        source_(std::move(source),
                options.settings.batch_size * options.settings.gradient_accumulation),
        held_out_(held_out),
        parallel_(parallel) {
    int64_t parameters = 0;
    for (const Parameter& one : transformer.parameters()) parameters += one.value.numel();
    // Several processes send gradients while backward makes them, which replicas do not tell of.
    if (options.group == nullptr && ByKernels(transformer.embedding()) &&
        ReplicasPay(parameters, options.settings.batch_size, options.threads)) {
      replicas_.emplace(transformer, options.threads);
    }
  }

  absl::StatusOr<StepResult> AddGradients() override {
    const TrainSettings& settings = options_.settings;
    const int64_t length = settings.sequence_length, rank = parallel_.rank();
    const int64_t sequences = settings.batch_size * settings.gradient_accumulation;
    // Every process goes through the whole step's sequences, and takes its own from them.
    const auto [ids, targets] = source_.Take();
    const int64_t first = sequences * rank / parallel_.size();
    const int64_t end = sequences * (rank + 1) / parallel_.size();
    std::vector<MicroBatch> batches;
    for (int64_t at = first; at < end; at += settings.batch_size) {
      const int64_t to = std::min(at + settings.batch_size, end);
      const auto cut = [&](const std::vector<int64_t>& all) {
        return std::vector<int64_t>(all.begin() + at * length, all.begin() + to * length);
      };
      batches.push_back(MakeMicroBatch(cut(ids), cut(targets), length));
    }
    StepResult result;
    result.tokens = std::ssize(targets);
    result.loss = replicas_ ? replicas_->AccumulateGradients(batches)
                            : AccumulateGradients(
                                  transformer_, batches,
                                  {CountTargets(targets.data(), std::ssize(targets)), &parallel_});
    return result;
  }
  DataCursor cursor() const override { return source_.cursor(); }
  absl::Status Seek(const DataCursor& cursor) override { return source_.Seek(cursor); }

  std::optional<HeldOutResult> Evaluate() override {
    const TrainSettings& settings = options_.settings;
    if (!held_out_) return std::nullopt;
    return HeldOutResult{EvaluateLoss(transformer_, *held_out_, settings.sequence_length,
                                      settings.batch_size, settings.held_out_tokens),
                         {}};
  }
  void Sample(TrainingObserver& observer, std::string_view when) override {
    const auto text = SampleText(transformer_, tokenizer_, options_.settings.sample_prompt,
                                 {.seed = options_.settings.seed});
    if (!text.ok()) {
      observer.OnLine(LineLevel::kWarning, StdView(text.status().message()));
      return;
    }
    observer.OnLine(LineLevel::kSample, absl::StrCat(AbslView(when), ": ", *text));
  }
  // A causal token attends to half the sequence on average.
  double FlopsPerToken() const override {
    const int64_t attended = (options_.settings.sequence_length + 1) / 2;
    return 3.0 * static_cast<double>(model::ForwardFlopsPerToken(options_.blueprint, attended));
  }

  double LossOfGuessing() const override {
    return std::log(static_cast<double>(options_.blueprint.vocab_size));
  }

 private:
  const PretrainOptions& options_;
  const tokenizer::Tokenizer& tokenizer_;
  Transformer& transformer_;
  BatchLookahead source_;
  const std::optional<TokenFile>& held_out_;
  DataParallel& parallel_;
  std::optional<ThreadReplicas> replicas_;
};

absl::StatusOr<Execution> ExecutionOf(const TrainSettings& settings,
                                      const tokenizer::Tokenizer& tokenizer) {
  Execution execution;
  execution.activation_checkpointing = settings.activation_checkpointing;
  execution.bf16 = settings.precision == PrecisionKind::kBf16;
  if (!settings.document_mask) return execution;
  const auto separator = tokenizer.SpecialId("<|endoftext|>");
  if (!separator) {
    return absl::FailedPreconditionError(
        "document_mask: the tokenizer has no <|endoftext|> that ends documents; train one with it "
        "in special_tokens");
  }
  execution.separator = *separator;
  return execution;
}

// Processes of one machine take its devices in turn; alone in a pod each sees its own as the first.
at::Device DeviceOf(const PretrainOptions& options) {
  if (options.settings.device == DeviceKind::kCpu) return at::kCPU;
  const int rank = options.group == nullptr ? 0 : options.group->rank();
  const auto devices = static_cast<int>(torch::cuda::device_count());
  return {at::kCUDA, static_cast<at::DeviceIndex>(rank % devices)};
}

// Of all processes together; 0, not known, on a device.
double GemmGflops(const PretrainOptions& options) {
  if (options.settings.device != DeviceKind::kCpu) return 0;
  const TrainSettings& settings = options.settings;
  const int processes = options.group == nullptr ? 1 : options.group->size();
  return processes *
         MeasureStepGflops(options.blueprint, settings.batch_size * settings.sequence_length);
}

}  // namespace

struct Pretrainer::State {
  const PretrainOptions options;
  const tokenizer::Tokenizer& tokenizer;
  const Clock& clock;
  Transformer transformer;
  const TokenFile train;
  const std::optional<TokenFile> held_out;
  StateStore store;

  // Blueprint, settings, data and how it is split: states of another run are not taken up.
  std::string RunIdentity() const {
    PretrainSpec spec;
    spec.blueprint = options.blueprint;
    spec.train = options.settings;
    spec.train.processes = 1;                     // any number of them may go on with it
    spec.train.device = DeviceKind::kCpu;         // a run may go on elsewhere
    spec.train.activation_checkpointing = false;  // the same bits with and without
    spec.train.sample_interval.reset();           // likewise
    return absl::StrCat(PretrainSpecJson(spec), " vocab_size ", options.blueprint.vocab_size,
                        " of ", options.data, ", ", train.size(), " tokens and ",
                        held_out ? held_out->size() : 0, " held out");
  }
};

Pretrainer::Pretrainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pretrainer::~Pretrainer() = default;

absl::StatusOr<std::unique_ptr<Pretrainer>> Pretrainer::Create(
    const PretrainOptions& options, const tokenizer::Tokenizer& tokenizer, const Clock& clock) {
  const bool on_cpu = options.settings.device == DeviceKind::kCpu;
  const int processes = options.group == nullptr ? 1 : options.group->size();
  FLOE_RETURN_IF_ERROR(on_cpu ? JudgeBlas(LoadedLibraries())
                              : JudgeDeviceOfThisMachine(options.settings.device, processes));
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
  const int64_t vocab_size =
      std::max(train.vocab_size(), held_out ? held_out->vocab_size() : int64_t{0});
  if (vocab_size > options.blueprint.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokens are of a vocabulary of ", vocab_size,
                     ", the blueprint's vocab_size is ", options.blueprint.vocab_size,
                     ": raise vocab_size, or tokenize with the model's own tokenizer"));
  }
  const int64_t sequences = options.settings.batch_size * options.settings.gradient_accumulation;
  if (options.group != nullptr && sequences < options.group->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a step has ", sequences,
                     " sequences (batch_size times gradient_accumulation), too few "
                     "for ",
                     options.group->size(), " processes: each needs one"));
  }
  if (on_cpu && options.settings.precision == PrecisionKind::kBf16) {
    FLOE_RETURN_IF_ERROR(JudgeBf16OfThisMachine());
  }
  FLOE_ASSIGN_OR_RETURN(const Execution execution, ExecutionOf(options.settings, tokenizer));
  FLOE_ASSIGN_OR_RETURN(StateStore store, StateStore::Open(options.state_folder));
  return CatchTorch<absl::StatusOr<std::unique_ptr<Pretrainer>>>(
      [&]() -> absl::StatusOr<std::unique_ptr<Pretrainer>> {
        FLOE_ASSIGN_OR_RETURN(Transformer transformer,
                              Transformer::Create(options.blueprint, options.settings.seed));
        transformer.set_execution(execution);
        return std::unique_ptr<Pretrainer>(new Pretrainer(std::unique_ptr<State>(
            new State{options, tokenizer, clock, std::move(transformer), std::move(train),
                      std::move(held_out), std::move(store)})));
      });
}

absl::StatusOr<PretrainOutcome> Pretrainer::Run(TrainingObserver& observer, std::stop_token stop) {
  State& state = *state_;
  const TrainSettings& settings = state.options.settings;
  FLOE_RETURN_IF_ERROR(ConfigureCompute(state.options.threads));
  return CatchTorch<absl::StatusOr<PretrainOutcome>>([&]() -> absl::StatusOr<PretrainOutcome> {
    FLOE_ASSIGN_OR_RETURN(BatchSource source,
                          BatchSource::Create(state.train, settings.sequence_length,
                                              Rng::SeedFor(settings.seed, "data")));
    state.transformer.MoveTo(DeviceOf(state.options));
    DataParallel parallel(state.options.group, state.transformer.parameters());
    NextToken objective(state.options, state.tokenizer, state.transformer, std::move(source),
                        state.held_out, parallel);
    TrainingLoop loop({state.transformer, objective, state.store, state.clock, parallel},
                      {.settings = settings,
                       .identity = state.RunIdentity(),
                       .folder = state.options.state_folder.string(),
                       .gemm_gflops = GemmGflops(state.options),
                       .threads = state.options.threads});
    auto outcome = loop.Run(observer, stop);
    state.transformer.MoveTo(at::kCPU);  // for Export
    return outcome;
  });
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
