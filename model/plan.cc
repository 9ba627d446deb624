#include "model/plan.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "model/fit.h"

namespace floe::model {
namespace {

// Bounds that keep products of counts inside 64 bits, and searches short.
constexpr int64_t kMostSequences = 1 << 20;
constexpr int64_t kMostDevices = 1 << 24;
constexpr int64_t kMostTokens = int64_t{1} << 60;

absl::Status CheckRequest(const Blueprint& blueprint, const PlanRequest& request) {
  std::vector<std::string> mistakes;
  const auto range = [&](const char* name, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    mistakes.push_back(absl::StrCat(name, " is ", value, ": must be from ", least, " to ", most));
  };
  range("batch_size", request.training.batch_size, 1, kMostSequences);
  range("devices", request.training.devices, 1, kMostDevices);
  range("tokens", request.tokens, 0, kMostTokens);
  if (request.training.sequence_length < 0 ||
      request.training.sequence_length > blueprint.context) {
    mistakes.push_back(absl::StrCat("sequence_length is ", request.training.sequence_length,
                                    ": must be from 1 to the context, ", blueprint.context));
  }
  if (!(request.memory_share > 0 && request.memory_share <= 1)) {
    mistakes.push_back(
        absl::StrCat("memory share is ", request.memory_share, ": must be above 0, and at most 1"));
  }
  if (mistakes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("plan: ", absl::StrJoin(mistakes, "; ")));
}

void CompareFfn(Plan& plan) {
  const Blueprint& b = plan.blueprint;
  if (b.family == Family::kGpt2) return;
  Blueprint other = b;
  other.ffn = b.ffn == FfnKind::kGated ? FfnKind::kPlain : FfnKind::kGated;
  plan.other_ffn = other.ffn;
  plan.other_ffn_total = CountParameters(other).Total();
}

ServingPlan ServingAt(const Plan& plan, int64_t bytes_per_number) {
  const TrainingMemoryOptions& asked = plan.request.training;
  const auto memory_of = [&](const Blueprint& b) {
    return EstimateServingMemory(b, asked.batch_size, asked.sequence_length, bytes_per_number);
  };
  ServingPlan serving;
  serving.bytes_per_number = bytes_per_number;
  serving.memory = memory_of(plan.blueprint);
  serving.kv_bytes_per_token = KvBytesPerToken(plan.blueprint, bytes_per_number);
  serving.sequences =
      SequencesThatFit(plan.blueprint, plan.usable_memory, asked.sequence_length, bytes_per_number);
  serving.largest = LargestThatFits(plan.blueprint, [&](const Blueprint& b) {
    return memory_of(b).Total() <= plan.usable_memory;
  });
  return serving;
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const Blueprint& blueprint, const PlanRequest& request) {
  FLOE_RETURN_IF_ERROR(blueprint.Validate());
  FLOE_RETURN_IF_ERROR(request.hardware.Validate());
  FLOE_RETURN_IF_ERROR(CheckRequest(blueprint, request));
  Plan plan;
  plan.blueprint = blueprint;
  plan.request = request;
  TrainingMemoryOptions& training = plan.request.training;
  if (training.sequence_length == 0) training.sequence_length = blueprint.context;
  plan.compute_optimal_tokens = ComputeOptimalTokens(blueprint);
  plan.optimal_tokens = request.tokens == 0;
  if (plan.optimal_tokens) plan.request.tokens = plan.compute_optimal_tokens;
  const int64_t tokens = plan.request.tokens;

  plan.parameters = CountParameters(blueprint);
  CompareFfn(plan);
  plan.forward_flops_per_token =
      ForwardFlopsPerToken(blueprint, (training.sequence_length + 1) / 2);
  plan.work =
      WorkOf(blueprint, tokens, training.sequence_length, training.activation_checkpointing);
  const Hardware& hardware = request.hardware;
  plan.flops_per_device = request.measured_flops > 0
                              ? request.measured_flops
                              : hardware.utilization * hardware.Peak(training.precision);
  plan.time = TimeOf(plan.work, tokens, training.devices, plan.flops_per_device,
                     hardware.price_microdollars_per_hour);

  plan.usable_memory =
      static_cast<int64_t>(request.memory_share * static_cast<double>(hardware.memory_bytes));
  plan.memory = EstimateTrainingMemory(blueprint, training);
  plan.largest_to_train = LargestThatFits(blueprint, [&](const Blueprint& b) {
    return EstimateTrainingMemory(b, training).Total() <= plan.usable_memory;
  });
  plan.serving = {ServingAt(plan, 4), ServingAt(plan, 2)};
  return plan;
}

}  // namespace floe::model
