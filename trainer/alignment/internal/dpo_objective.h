// Direct preference optimisation: the policy is moved from the reference towards the chosen
// answers.
#pragma once

#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/alignment/aligner.h"
#include "trainer/alignment/example_order.h"
#include "trainer/alignment/reference_file.h"
#include "trainer/internal/training_loop.h"

namespace floe::trainer {

class Questions;

// The gradient is that of the mean over all pairs of a step, however they are cut into
// micro-batches. Borrows its arguments.
class DpoObjective final : public Objective {
 public:
  DpoObjective(Transformer& transformer, const DpoTask& task, const AlignOptions& options,
               Questions& questions);

  // Reads the reference's log-probabilities, or computes them with the transformer as it is, which
  // must still be the base, and keeps them. CANCELLED when stopped on the way.
  absl::Status Prepare(TrainingObserver& observer, std::stop_token stop);

  absl::StatusOr<StepResult> AddGradients() override;
  DataCursor cursor() const override { return order_.cursor(); }
  absl::Status Seek(const DataCursor& cursor) override { return order_.Seek(cursor); }
  std::optional<HeldOutResult> Evaluate() override;
  void Sample(TrainingObserver& observer, std::string_view when) override;
  double FlopsPerToken() const override { return flops_; }

 private:
  // Sums over some pairs, of `loss` and each metric.
  struct Sums {
    double loss = 0;
    std::map<std::string, double> metrics;
  };
  // A pair and where its reference stands.
  struct Member {
    const RenderedPair* pair = nullptr;
    size_t reference = 0;
  };

  // The log-probabilities of the pairs' answers, chosen and rejected, by the transformer as it is.
  absl::StatusOr<ReferenceLogProbabilities> ScorePairs(std::span<const RenderedPair> pairs) const;
  // Adds to `sums`; with `weight` other than 0, adds the gradient of weight * loss too.
  absl::Status Learn(std::span<const Member> members, double weight, Sums& sums);

  Transformer& transformer_;
  const DpoTask& task_;
  const AlignOptions& options_;
  Questions& questions_;
  ExampleOrder order_;
  ReferenceLogProbabilities reference_;  // of train, then of held_out
  double flops_ = 0;
};

}  // namespace floe::trainer
