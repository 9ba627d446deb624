#include "trainer/spec/memory.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/view.h"

namespace floe::trainer {
namespace {

std::string Gib(double bytes) { return absl::StrFormat("%.1f", bytes / (1 << 30)); }
std::string Gib(int64_t bytes) { return Gib(static_cast<double>(bytes)); }

}  // namespace

model::TrainingMemoryOptions MemoryOptionsOf(const TrainSettings& train) {
  const int64_t processes = train.processes;
  const int64_t sequences = train.batch_size * train.gradient_accumulation;
  model::TrainingMemoryOptions options;
  // A process takes its share of the step's sequences, in micro-batches of up to batch_size.
  options.batch_size = std::min(train.batch_size, (sequences + processes - 1) / processes);
  options.sequence_length = train.sequence_length;
  options.optimizer = train.optimizer == OptimizerKind::kMuon ? model::OptimizerKind::kMuon
                                                              : model::OptimizerKind::kAdamW;
  options.activation_checkpointing = train.activation_checkpointing;
  options.devices = processes;
  options.shard_optimizer = processes > 1;
  return options;
}

int64_t MemoryNeed::Total() const {
  const double bytes = static_cast<double>(of_process.Total()) * static_cast<double>(processes);
  return static_cast<int64_t>(std::min(bytes, 0x1p62));  // no machine has that
}

MemoryNeed MemoryNeedOf(const model::Blueprint& blueprint, const TrainSettings& train) {
  MemoryNeed need{model::EstimateTrainingMemory(blueprint, MemoryOptionsOf(train)),
                  train.processes};
  // Copies of the layers' weights; what backward reads is then no more than with f32 alone.
  if (train.precision == PrecisionKind::kBf16) {
    need.of_process.weights += need.of_process.weights / 2;
  }
  return need;
}

absl::Status CheckMemory(const MemoryNeed& need, int64_t runner_memory_mib,
                         std::string_view remedy) {
  const double there = static_cast<double>(runner_memory_mib) * (1 << 20);
  if (runner_memory_mib == 0 || static_cast<double>(need.Total()) <= there) {
    return absl::OkStatus();
  }
  const model::TrainingMemory& each = need.of_process;
  const std::string of_each =
      need.processes > 1 ? absl::StrCat(" in ", need.processes, " processes, each of them") : "";
  return absl::InvalidArgumentError(absl::StrCat(
      "the job needs about ", Gib(need.Total()), " GiB", of_each, " (weights ", Gib(each.weights),
      ", gradients ", Gib(each.gradients), ", optimizer ", Gib(each.optimizer), ", activations ",
      Gib(each.activations), ", workspace ", Gib(each.workspace), "), and the runners have ",
      Gib(there), " GiB: ", AbslView(remedy)));
}

}  // namespace floe::trainer
