#include "services/inference/served_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/thrown.h"
#include "model/accounting.h"
#include "model/checkpoint.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

class TokenizerStream final : public TextStream {
 public:
  explicit TokenizerStream(const tokenizer::Tokenizer& tokenizer)
      : decoder_(tokenizer, {.skip_special = true}) {}
  // An id that the tokenizer does not know (the embedding may be padded) has no text.
  std::string Push(int32_t id) override { return decoder_.Push(id).value_or(""); }
  std::string Flush() override { return decoder_.Flush(); }

 private:
  tokenizer::StreamDecoder decoder_;
};

// Keys and values of as many tokens as the target's engine holds.
CpuEngineOptions DraftEngineOptions(const model::Checkpoint& target, const model::Checkpoint& draft,
                                    const ServeOptions& options) {
  CpuEngineOptions engine = options.engine;
  const int64_t blocks =
      std::max<int64_t>(1, engine.kv_bytes / KvBlockBytes(target, engine, options.device));
  engine.kv_bytes = blocks * KvBlockBytes(draft, engine, options.device);
  return engine;
}

absl::StatusOr<std::unique_ptr<Engine>> MakeDraftEngine(const model::Checkpoint& target,
                                                        const model::Checkpoint& draft,
                                                        const ServeOptions& options) {
  try {
    return MakeEngine(draft, DraftEngineOptions(target, draft, options), options.device);
  } catch (...) {
    return StatusOfThrown("it could not be loaded");
  }
}

// `eos_token_id` of generation_config.json: a number or a list of numbers.
absl::StatusOr<std::vector<int32_t>> EndIds(const model::Checkpoint& checkpoint) {
  constexpr char kFile[] = "generation_config.json";
  const int64_t vocab_size = checkpoint.blueprint().vocab_size;
  const auto text = checkpoint.File(kFile);
  if (absl::IsNotFound(text.status())) return std::vector<int32_t>();
  FLOE_RETURN_IF_ERROR(text.status());
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto wrong = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "eos_token_id in ", (checkpoint.folder() / kFile).string(), " must be an id below ",
        vocab_size, " or a list of them; write the checkpoint again"));
  };
  if (!json.is_object()) return wrong();
  const auto found = json.find("eos_token_id");
  if (found == json.end() || found->is_null()) return std::vector<int32_t>();
  std::vector<int32_t> ids;
  for (const auto& id : found->is_array() ? *found : nlohmann::json::array({*found})) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
      return wrong();
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

}  // namespace

std::unique_ptr<TextStream> ServedModel::NewTextStream() const {
  return tokenizer == nullptr ? nullptr : std::make_unique<TokenizerStream>(*tokenizer);
}

bool CanGuessFor(const model::Checkpoint& target, const model::Checkpoint& draft) {
  const auto tokenizer = [](const model::Checkpoint& checkpoint) {
    const auto found = checkpoint.manifest().files.find("tokenizer.json");
    return found == checkpoint.manifest().files.end() ? "" : found->second.digest;
  };
  return draft.blueprint().vocab_size == target.blueprint().vocab_size &&
         !tokenizer(target).empty() && tokenizer(draft) == tokenizer(target) &&
         WeightBytes(draft, {}) < WeightBytes(target, {});
}

int64_t BytesToServe(const model::Checkpoint& checkpoint, const model::Checkpoint* draft,
                     const ServeOptions& options) {
  const int64_t bytes =
      WeightBytes(checkpoint, options.device) +
      std::max(options.engine.kv_bytes, KvBlockBytes(checkpoint, options.engine, options.device));
  if (draft == nullptr) return bytes;
  return bytes + WeightBytes(*draft, options.device) +
         DraftEngineOptions(checkpoint, *draft, options).kv_bytes;
}

absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const model::Checkpoint& checkpoint,
                                                             const ServeOptions& options,
                                                             const Clock& clock,
                                                             const model::Checkpoint* draft) {
  auto served = std::make_shared<ServedModel>();
  served->digest = checkpoint.digest();
  served->parameters = model::CountParameters(checkpoint.blueprint()).Total();
  FLOE_ASSIGN_OR_RETURN(served->end_ids, EndIds(checkpoint));
  const auto json = checkpoint.File("tokenizer.json");
  if (json.ok()) {
    FLOE_ASSIGN_OR_RETURN(served->tokenizer, tokenizer::Tokenizer::Load(*json));
  } else if (!absl::IsNotFound(json.status())) {
    return json.status();
  }
  if (served->end_ids.empty() && served->tokenizer != nullptr) {
    for (const std::string_view name : {"<|endoftext|>", "<|im_end|>"}) {
      if (const auto id = served->tokenizer->SpecialId(name)) served->end_ids.push_back(*id);
    }
  }
  if (served->tokenizer != nullptr) {
    served->grammars = std::make_unique<grammar::GrammarCache>(*served->tokenizer, served->end_ids,
                                                               checkpoint.blueprint().vocab_size);
  }
  FLOE_ASSIGN_OR_RETURN(auto engine, MakeEngine(checkpoint, options.engine, options.device));
  std::unique_ptr<Engine> guesser;
  if (draft != nullptr) {
    auto made = MakeDraftEngine(checkpoint, *draft, options);
    if (made.ok()) {
      guesser = *std::move(made);
      served->draft = draft->digest();
    } else {
      served->lost_draft = made.status();
    }
  }
  served->bytes = BytesToServe(checkpoint, guesser == nullptr ? nullptr : draft, options);
  served->scheduler =
      std::make_unique<Scheduler>(std::move(engine), clock, options.scheduler, std::move(guesser));
  return served;
}

}  // namespace floe::inference
