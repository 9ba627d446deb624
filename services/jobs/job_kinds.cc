#include "services/jobs/job_kinds.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"

namespace floe::jobs {
namespace {

bool IsMistake(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

absl::Status AllMistakes(const std::vector<absl::Status>& found) {
  std::vector<absl::Status> mistakes;
  absl::Status failure;
  for (const absl::Status& status : found) {
    if (IsMistake(status)) {
      mistakes.push_back(status);
    } else {
      failure.Update(status);
    }
  }
  if (mistakes.empty()) return failure;
  if (mistakes.size() == 1) return mistakes[0];
  const auto text = [](std::string* out, const absl::Status& one) {
    out->append(one.message().data(), one.message().size());
  };
  const bool alike = std::all_of(mistakes.begin(), mistakes.end(), [&](const absl::Status& one) {
    return one.code() == mistakes[0].code();
  });
  return absl::Status(alike ? mistakes[0].code() : absl::StatusCode::kInvalidArgument,
                      absl::StrJoin(mistakes, "\n", text));
}

absl::StatusOr<JobKind*> JobKinds::Find(const std::string& name) const {
  std::vector<std::string> known;
  for (JobKind* kind : kinds_) {
    if (kind->name() == name) return kind;
    known.push_back(kind->name());
  }
  return WithReason(absl::InvalidArgumentError(
                        absl::StrCat("kind is \"", absl::CHexEscape(name),
                                     "\"; this service offers: ", absl::StrJoin(known, ", "))),
                    "JOB_KIND_UNKNOWN");
}

}  // namespace floe::jobs
