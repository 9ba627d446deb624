#include "services/trainer/memory_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "model/training_memory.h"
#include "trainer/spec/memory.h"

namespace floe::services::trainer {
namespace {

// Of one process.
model::TrainingMemory EstimateOf(const model::Blueprint& blueprint,
                                 const floe::trainer::TrainSettings& train) {
  model::TrainingMemory memory =
      model::EstimateTrainingMemory(blueprint, floe::trainer::MemoryOptionsOf(train));
  // Copies of the layers' weights; what backward reads is then no more than with f32 alone.
  if (train.precision == floe::trainer::PrecisionKind::kBf16) memory.weights += memory.weights / 2;
  return memory;
}

}  // namespace

int64_t NeededMemory(const model::Blueprint& blueprint, const floe::trainer::TrainSettings& train) {
  const double bytes = static_cast<double>(EstimateOf(blueprint, train).Total()) *
                       static_cast<double>(train.processes);
  return static_cast<int64_t>(std::min(bytes, 0x1p62));  // no machine has that
}

absl::Status CheckMemory(const model::Blueprint& blueprint,
                         const floe::trainer::TrainSettings& train, int64_t runner_memory_mib) {
  if (runner_memory_mib == 0) return absl::OkStatus();
  const int64_t processes = train.processes;
  const model::TrainingMemory memory = EstimateOf(blueprint, train);
  const auto gib = [](double bytes) { return bytes / (1 << 30); };
  const auto needed = static_cast<double>(NeededMemory(blueprint, train));
  const double there = static_cast<double>(runner_memory_mib) * (1 << 20);
  if (needed <= there) return absl::OkStatus();
  const auto part = [&](int64_t bytes) {
    return absl::StrFormat("%.1f", gib(static_cast<double>(bytes)));
  };
  return absl::InvalidArgumentError(absl::StrFormat(
      "the job needs about %.1f GiB%s (weights %s, gradients %s, optimizer %s, activations %s, "
      "workspace %s), and the runners have %.1f GiB: lower batch_size and raise "
      "gradient_accumulation by as much, shorten sequence_length, %sor choose smaller dials; `floe "
      "plan --job` shows what they cost",
      gib(needed), processes > 1 ? absl::StrCat(" in ", processes, " processes, each of them") : "",
      part(memory.weights), part(memory.gradients), part(memory.optimizer),
      part(memory.activations), part(memory.workspace), gib(there),
      train.activation_checkpointing ? "" : "set activation_checkpointing: true, "));
}

}  // namespace floe::services::trainer
