// Pre-training: random weights, next-token prediction on token files, a checkpoint at the end.
//
//   FLOE_ASSIGN_OR_RETURN(auto pretrainer, Pretrainer::Create(options, tokenizer, clock));
//   FLOE_ASSIGN_OR_RETURN(PretrainOutcome outcome, pretrainer->Run(observer, stop));
//   FLOE_ASSIGN_OR_RETURN(std::string digest, pretrainer->Export(folder, parents, files));
//
// A run that was stopped or killed goes on from its last saved state as if nothing had happened:
// with the same number of threads, the exported bytes are the same. It may go on on another device;
// then the loss is the same within the order of floats.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "model/blueprint.h"
#include "model/checkpoint.h"
#include "tokenizer/tokenizer.h"
#include "trainer/distributed/process_group.h"
#include "trainer/ports.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

struct PretrainOptions {
  model::Blueprint blueprint;  // with its vocab_size
  TrainSettings settings;
  std::filesystem::path train_tokens;     // token files, trainer/token_file.h
  std::filesystem::path held_out_tokens;  // not opened when held_out_fraction is 0
  std::filesystem::path state_folder;     // saved states; of this run only
  std::string data;  // what the tokens were made from: part of the run's identity
  int threads = 1;
  // Of several processes that train together, joined; borrowed. nullptr: this one alone. All share
  // the files, and each step's sequences are dealt out among them.
  ProcessGroup* group = nullptr;
};

using PretrainOutcome = TrainOutcome;

// Owns the transformer; the optimizer lives as long as a Run. One thread uses it. No torch type
// shows here.
class Pretrainer {
 public:
  // Builds the model and opens the tokens; nothing is computed yet. INVALID_ARGUMENT for dials,
  // settings or texts that cannot work, FAILED_PRECONDITION on the
  // reference BLAS, and for a device that is not there. Borrows the tokenizer (for samples) and the
  // clock.
  static absl::StatusOr<std::unique_ptr<Pretrainer>> Create(const PretrainOptions& options,
                                                            const tokenizer::Tokenizer& tokenizer,
                                                            const Clock& clock);
  ~Pretrainer();

  // Takes up the newest saved state, if there is one, and trains to the end. CANCELLED after a
  // stop, its state saved; FAILED_PRECONDITION when the loss or a gradient is no number (nothing of
  // that step is kept) or when the states are of another run; DATA_LOSS when no saved state is
  // whole. A state that cannot be written (disk full) is told to the observer, the last good one
  // stays, and training goes on. UNAVAILABLE when another process of the group has gone.
  absl::StatusOr<PretrainOutcome> Run(TrainingObserver& observer, std::stop_token stop);

  // The checkpoint folder of the weights as they are; returns its digest. `folder` must not exist.
  // `tokenizer_files` go in as they are: tokenizer.json, tokenizer_config.json.
  absl::StatusOr<std::string> Export(
      const std::filesystem::path& folder, const model::Parents& parents,
      const std::map<std::string, std::string>& tokenizer_files) const;

 private:
  struct State;
  explicit Pretrainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace floe::trainer
