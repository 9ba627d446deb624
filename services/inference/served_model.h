// One checkpoint in memory, ready to answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "inference/engine/cpu_engine.h"
#include "inference/grammar/grammar_cache.h"
#include "inference/scheduler/scheduler.h"
#include "model/checkpoint.h"
#include "services/inference/device.h"
#include "tokenizer/tokenizer.h"

namespace floe::inference {

struct ServeOptions {
  CpuEngineOptions engine;
  DeviceOptions device;
  SchedulerOptions scheduler;
};

// Thread-safe through its scheduler; the rest is immutable.
struct ServedModel {
  std::string digest;
  int64_t parameters = 0;
  int64_t bytes = 0;        // weights and KV cache
  std::string draft;        // digest of its draft model; empty: none
  absl::Status lost_draft;  // why it serves without the one it was given
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;  // null: the checkpoint has none
  // End of text, by generation_config.json; where that says nothing, <|endoftext|> and <|im_end|>.
  std::vector<int32_t> end_ids;
  std::unique_ptr<grammar::GrammarCache> grammars;  // null without a tokenizer, which it borrows
  std::unique_ptr<Scheduler> scheduler;  // last, so that it ends first: it borrows the tokenizer

  // Text of ids as they come, added tokens left out; null without a tokenizer.
  std::unique_ptr<TextStream> NewTextStream() const;
};

// Whether `draft` may guess for `target`: a smaller model with as many ids and, byte for byte, the
// same tokenizer.
bool CanGuessFor(const model::Checkpoint& target, const model::Checkpoint& draft);

// What loading `checkpoint` will take, with `draft` unless null.
int64_t BytesToServe(const model::Checkpoint& checkpoint, const model::Checkpoint* draft,
                     const ServeOptions& options);

// Loads an open checkpoint, and a draft model that may guess for it unless null: one that cannot be
// loaded is left out, see `lost_draft`. Verifies what it reads but the weights. Borrows `clock`.
absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const model::Checkpoint& checkpoint,
                                                             const ServeOptions& options,
                                                             const Clock& clock,
                                                             const model::Checkpoint* draft);

}  // namespace floe::inference
