#include "trainer/inspection/inspect.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "tokenizer/chat_template.h"
#include "trainer/inspection/internal/look.h"
#include "trainer/internal/catch_torch.h"

namespace floe::trainer {
namespace {

absl::Status CheckText(const model::Blueprint& blueprint, const InspectionText& text) {
  if (static_cast<int64_t>(text.ids.size()) < kLeastInspectedTokens) {
    return absl::InvalidArgumentError(absl::StrCat("the text has ", text.ids.size(),
                                                   " tokens; at least ", kLeastInspectedTokens,
                                                   " are needed to inspect a model"));
  }
  const int64_t largest = *std::max_element(text.ids.begin(), text.ids.end());
  if (largest < blueprint.vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the text has the token id ", largest, ", the model's vocab_size is ",
                   blueprint.vocab_size, "; are the models of one tokenizer?"));
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> InspectedIds(const tokenizer::Tokenizer& tokenizer,
                                                  std::string_view file,
                                                  tokenizer::TextFormat format,
                                                  int64_t max_tokens) {
  const auto end = tokenizer.SpecialId(tokenizer::kEndOfText);
  std::vector<int64_t> ids;
  const absl::Status enough = absl::OutOfRangeError("enough");
  const absl::Status status =
      tokenizer::ForEachDocument(file, format, [&](std::string_view document) -> absl::Status {
        const std::vector<tokenizer::TokenId> some = tokenizer.Encode(document);
        ids.insert(ids.end(), some.begin(), some.end());
        if (end) ids.push_back(*end);
        return static_cast<int64_t>(ids.size()) < max_tokens ? absl::OkStatus() : enough;
      });
  if (!status.ok() && status != enough) return status;
  if (static_cast<int64_t>(ids.size()) > max_tokens) ids.resize(max_tokens);
  if (static_cast<int64_t>(ids.size()) < kLeastInspectedTokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the dataset has ", ids.size(), " tokens; inspection needs ", kLeastInspectedTokens));
  }
  return ids;
}

absl::StatusOr<Inspection> InspectCheckpoint(const model::Checkpoint& checkpoint,
                                             const InspectionText& text, std::stop_token stop) {
  FLOE_RETURN_IF_ERROR(CheckText(checkpoint.blueprint(), text));
  return CatchTorch<absl::StatusOr<Inspection>>([&]() -> absl::StatusOr<Inspection> {
    FLOE_ASSIGN_OR_RETURN(const Transformer transformer, Transformer::Load(checkpoint));
    return Look(transformer, text, stop);
  });
}

absl::StatusOr<Inspection> InspectFresh(const model::Blueprint& blueprint, uint64_t seed,
                                        const InspectionText& text, std::stop_token stop) {
  FLOE_RETURN_IF_ERROR(CheckText(blueprint, text));
  return CatchTorch<absl::StatusOr<Inspection>>([&]() -> absl::StatusOr<Inspection> {
    FLOE_ASSIGN_OR_RETURN(const Transformer transformer, Transformer::Create(blueprint, seed));
    return Look(transformer, text, stop);
  });
}

}  // namespace floe::trainer
