// Supervised fine-tuning: next-token prediction on answers alone.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "trainer/alignment/aligner.h"
#include "trainer/alignment/example_order.h"
#include "trainer/internal/training_loop.h"

namespace floe::trainer {

class Questions;

// The gradient is that of the mean over all answer tokens of a step, however they are cut into
// micro-batches. A micro-batch whose mask is all zero or all one is INVALID_ARGUMENT. Borrows its
// arguments.
class SftObjective final : public Objective {
 public:
  SftObjective(Transformer& transformer, const SftTask& task, const AlignOptions& options,
               Questions& questions);

  absl::StatusOr<StepResult> AddGradients() override;
  DataCursor cursor() const override { return order_.cursor(); }
  absl::Status Seek(const DataCursor& cursor) override { return order_.Seek(cursor); }
  std::optional<HeldOutResult> Evaluate() override;
  void Sample(TrainingObserver& observer, std::string_view when) override;
  double FlopsPerToken() const override { return flops_; }

 private:
  Transformer& transformer_;
  const SftTask& task_;
  const AlignOptions& options_;
  Questions& questions_;
  ExampleOrder order_;
  double flops_ = 0;
};

}  // namespace floe::trainer
