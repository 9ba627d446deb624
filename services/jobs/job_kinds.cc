#include "services/jobs/job_kinds.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"

namespace floe::jobs {

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
