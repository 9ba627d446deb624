// Alignment: a base checkpoint learns how to answer. SFT from chats, DPO from preferences.
//
//   FLOE_ASSIGN_OR_RETURN(auto aligner, Aligner::Create(base, tokenizer, std::move(task), options,
//                                                       clock));
//   FLOE_ASSIGN_OR_RETURN(TrainOutcome outcome, aligner->Run(observer, stop));
//   FLOE_ASSIGN_OR_RETURN(std::string digest, aligner->Export(folder, parents, files));
//
// Goes on after a stop or a kill as pre-training does: with the same number of threads, the
// exported bytes are those of a run that never stopped.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "model/checkpoint.h"
#include "tokenizer/tokenizer.h"
#include "trainer/alignment/preference_loss.h"
#include "trainer/alignment/rendered.h"
#include "trainer/ports.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

// Learn the answers of chats. Held-out loss: a token of the held-out answers.
struct SftTask {
  std::vector<Rendered> train;
  std::vector<Rendered> held_out;  // may be empty
};

// Prefer chosen to rejected (direct preference optimisation). The reference is the base itself; its
// log-probabilities are computed once and kept in `reference`. Metrics by the names that TRL gives
// them: rewards/chosen, rewards/rejected, rewards/margins, rewards/accuracies, logps/chosen,
// logps/rejected.
struct DpoTask {
  std::vector<RenderedPair> train;
  std::vector<RenderedPair> held_out;  // may be empty
  PreferenceLossOptions loss;
  std::filesystem::path reference;
};

using AlignTask = std::variant<SftTask, DpoTask>;

// Answered before training, on the way (TrainSettings::sample_interval) and after.
struct Question {
  std::vector<ChatMessage> prompt;
};

struct AlignOptions {
  // batch_size counts examples (pairs for DPO); sequence_length, held_out_fraction, held_out_tokens
  // and sample_prompt are not looked at.
  TrainSettings settings;
  std::filesystem::path state_folder;  // of this run only
  std::string identity;  // what is learnt from what: base, data, losses; not the settings
  std::vector<Question> questions;
  tokenizer::ChatTemplate chat;  // how questions are put
  int threads = 1;
};

// Owns the transformer. One thread uses it. No torch type shows here.
class Aligner {
 public:
  // Loads the weights; nothing is learnt yet. INVALID_ARGUMENT for settings or data that cannot
  // work, FAILED_PRECONDITION on the reference BLAS. Borrows the
  // tokenizer and the clock.
  static absl::StatusOr<std::unique_ptr<Aligner>> Create(const model::Checkpoint& base,
                                                         const tokenizer::Tokenizer& tokenizer,
                                                         AlignTask task,
                                                         const AlignOptions& options,
                                                         const Clock& clock);
  ~Aligner();

  // As Pretrainer::Run; INVALID_ARGUMENT when a batch's mask is all zero or all one.
  absl::StatusOr<TrainOutcome> Run(TrainingObserver& observer, std::stop_token stop);

  // As Pretrainer::Export.
  absl::StatusOr<std::string> Export(
      const std::filesystem::path& folder, const model::Parents& parents,
      const std::map<std::string, std::string>& tokenizer_files) const;

 private:
  struct State;
  explicit Aligner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace floe::trainer
