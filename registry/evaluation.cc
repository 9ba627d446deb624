#include "registry/evaluation.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "registry/caller.h"
#include "registry/names.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxMetrics = 200;
constexpr size_t kMaxNameBytes = 200;
constexpr size_t kMaxReportBytes = 1 << 20;
constexpr size_t kIdCharacters = 24;

}  // namespace

absl::Status Validate(const Evaluation& evaluation) {
  FLOE_RETURN_IF_ERROR(CheckDigest("evaluation.model_digest", evaluation.model_digest));
  FLOE_RETURN_IF_ERROR(CheckDigest("evaluation.tokenizer_digest", evaluation.tokenizer_digest));
  FLOE_RETURN_IF_ERROR(CheckDigest("evaluation.dataset_digest", evaluation.dataset_digest));
  if (!evaluation.template_digest.empty()) {
    FLOE_RETURN_IF_ERROR(CheckDigest("evaluation.template_digest", evaluation.template_digest));
  }
  FLOE_RETURN_IF_ERROR(CheckId("evaluation.task", evaluation.task));
  FLOE_RETURN_IF_ERROR(CheckText("evaluation.job", evaluation.job, kMaxNameBytes));
  FLOE_RETURN_IF_ERROR(CheckText("evaluation.report", evaluation.report, kMaxReportBytes));
  if (evaluation.metrics.empty() || evaluation.metrics.size() > kMaxMetrics) {
    return absl::InvalidArgumentError(absl::StrCat(
        "evaluation.metrics has ", evaluation.metrics.size(), " entries; give 1 to ", kMaxMetrics));
  }
  for (const auto& [name, value] : evaluation.metrics) {
    FLOE_RETURN_IF_ERROR(CheckId("a name in evaluation.metrics", name));
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("evaluation.metrics[", name, "] is ", value, "; give a finite number"));
    }
  }
  if (evaluation.examples < 1 || evaluation.tokens < 0) {
    return absl::InvalidArgumentError(absl::StrCat("evaluation has ", evaluation.examples,
                                                   " examples and ", evaluation.tokens,
                                                   " tokens; evidence needs at least 1 example"));
  }
  return absl::OkStatus();
}

std::string EvaluationId(const Evaluation& evaluation) {
  std::string content =
      absl::StrCat(evaluation.model_digest, "\n", evaluation.tokenizer_digest, "\n",
                   evaluation.template_digest, "\n", evaluation.dataset_digest, "\n",
                   evaluation.task, "\n", evaluation.examples, "\n", evaluation.tokens, "\n");
  for (const auto& [name, value] : evaluation.metrics) {
    absl::StrAppendFormat(&content, "%s=%.17g\n", name, value);
  }
  if (!evaluation.report.empty()) absl::StrAppend(&content, Sha256::Hex(evaluation.report), "\n");
  return absl::StrCat("ev-", Sha256::Hex(content).substr(0, kIdCharacters));
}

}  // namespace floe::registry
