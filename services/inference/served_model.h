// One checkpoint in memory, ready to answer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "inference/engine/cpu_engine.h"
#include "inference/grammar/grammar_cache.h"
#include "inference/scheduler/scheduler.h"
#include "tokenizer/tokenizer.h"

namespace floe::inference {

struct ServeOptions {
  CpuEngineOptions engine;
  SchedulerOptions scheduler;
};

// Thread-safe through its scheduler; the rest is immutable.
struct ServedModel {
  std::string digest;
  int64_t parameters = 0;
  int64_t bytes = 0;                                      // weights and KV cache
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;  // null: the checkpoint has none
  // End of text, by generation_config.json; where that says nothing, <|endoftext|> and <|im_end|>.
  std::vector<int32_t> end_ids;
  std::unique_ptr<grammar::GrammarCache> grammars;  // null without a tokenizer, which it borrows
  std::unique_ptr<Scheduler> scheduler;  // last, so that it ends first: it borrows the tokenizer

  // Text of ids as they come, added tokens left out; null without a tokenizer.
  std::unique_ptr<TextStream> NewTextStream() const;
};

// What loading `blueprint` will take.
int64_t BytesToServe(const model::Checkpoint& checkpoint, const ServeOptions& options);

// Loads a verified checkpoint folder. Borrows `clock`.
absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const std::filesystem::path& folder,
                                                             const ServeOptions& options,
                                                             const Clock& clock);

}  // namespace floe::inference
