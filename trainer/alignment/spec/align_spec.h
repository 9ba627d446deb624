// The specifications of jobs of kind `sft` and `dpo`, as people write them (YAML or JSON):
//
//   kind: sft                     # or dpo; may be left out
//   model: lexicon                # the model to publish a version of
//   base: lexicon@production      # the checkpoint to start from; @latest is the newest version
//   dataset: definitions          # of the format chat (sft) or preference (dpo)
//   held_out: definitions-held-out  # measured, never trained on; optional
//   held_out_examples: 512        # at most so many of it
//   sequence_length: 256          # the longest text in tokens; the base's context when left out
//   too_long: refuse              # or skip: what happens to longer ones
//   samples: 2                    # held-out questions answered before, on the way and after
//   loss: {kind: sigmoid, beta: 0.1, label_smoothing: 0, length_normalized: true}   # dpo only
//   train: {steps: 200, batch_size: 16, learning_rate: 0.0003, ...}                 # as pretrain
//
// Everything under `train` has a default but `steps`. Pure: no torch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "trainer/alignment/preference_loss.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

inline constexpr std::string_view kSftJobKind = "sft";
inline constexpr std::string_view kDpoJobKind = "dpo";

enum class AlignKind { kSft, kDpo };

struct AlignSpec {
  std::string model;
  std::string base;
  std::string dataset;
  std::string held_out;  // empty: none
  int64_t held_out_examples = 512;
  int64_t sequence_length = 0;  // 0: the base's context
  bool skip_too_long = false;
  int64_t samples = 2;
  PreferenceLossOptions loss;
  TrainSettings train;
};

// INVALID_ARGUMENT names the line and what is wrong there.
absl::StatusOr<AlignSpec> ParseAlignSpec(AlignKind kind, std::string_view text);

// The same, with the base and the datasets that could be read also where other keys are wrong, so
// that what these name can be checked at once with the rest. `spec` is a fresh one.
absl::Status ReadAlignSpec(AlignKind kind, std::string_view text, AlignSpec& spec);

// The same specification with every default filled in, as one line of JSON that ParseAlignSpec
// reads back to an equal value.
std::string AlignSpecJson(AlignKind kind, const AlignSpec& spec);

}  // namespace floe::trainer
