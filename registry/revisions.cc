#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "registry/caller.h"
#include "registry/dataset.h"
#include "registry/tokenizer_revision.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxDescriptionBytes = 4096;
constexpr size_t kMaxJobBytes = 200;

}  // namespace

absl::Status Validate(const Dataset& dataset) {
  FLOE_RETURN_IF_ERROR(CheckId("dataset_id", dataset.name.id));
  FLOE_RETURN_IF_ERROR(CheckDigest("dataset.digest", dataset.blob.digest));
  constexpr const char* kFormats[] = {"text", "jsonl", "chat", "preference", "choices"};
  if (std::find(std::begin(kFormats), std::end(kFormats), dataset.format) == std::end(kFormats)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dataset.format is '", absl::Utf8SafeCHexEscape(dataset.format.substr(0, 40)),
        "'; give text (documents separated by blank lines), jsonl ({\"text\": ...} a line), chat, "
        "preference or choices (examples as JSON Lines)"));
  }
  if (dataset.documents < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset.documents is ", dataset.documents, "; it counts from 0"));
  }
  return CheckText("dataset.description", dataset.description, kMaxDescriptionBytes);
}

absl::Status Validate(const TokenizerRevision& tokenizer) {
  FLOE_RETURN_IF_ERROR(CheckId("tokenizer_id", tokenizer.name.id));
  FLOE_RETURN_IF_ERROR(CheckDigest("tokenizer.digest", tokenizer.digest));
  if (!tokenizer.config_digest.empty()) {
    FLOE_RETURN_IF_ERROR(CheckDigest("tokenizer.config_digest", tokenizer.config_digest));
  }
  if (!tokenizer.dataset_digest.empty()) {
    FLOE_RETURN_IF_ERROR(CheckDigest("tokenizer.dataset_digest", tokenizer.dataset_digest));
  }
  if (tokenizer.vocab_size < 1) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.vocab_size is ", tokenizer.vocab_size,
                                                   "; a vocabulary has at least 1 token"));
  }
  if (!std::isfinite(tokenizer.bytes_per_token) || tokenizer.bytes_per_token < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer.bytes_per_token is ", tokenizer.bytes_per_token,
                     "; give a positive number, or 0 when it is not known"));
  }
  return CheckText("tokenizer.job", tokenizer.job, kMaxJobBytes);
}

}  // namespace floe::registry
