#include "cli/output/exit_code.h"

#include "base/error_reason.h"

namespace floe::cli {
namespace {

constexpr char kJobFailedReason[] = "JOB_NOT_SUCCEEDED";

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  if (reason && reason->reason == kJobFailedReason) return kJobFailed;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kUsage;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kPermission;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return kUnavailable;
    case absl::StatusCode::kDataLoss:
      return kDamaged;
    default:
      return kFailed;
  }
}

absl::Status JobFailedError(std::string message) {
  return WithReason(absl::AbortedError(message), kJobFailedReason);
}

std::string ExitCodeHelp() {
  return "Exit codes:\n"
         "  0  done\n"
         "  1  failed\n"
         "  2  the command line, or what it names, is wrong\n"
         "  3  there is no such thing, or no fleet\n"
         "  4  no key, or a key without the role\n"
         "  5  the fleet or a part of it does not answer; trying again may help\n"
         "  6  the job that was waited for failed or was cancelled\n"
         "  7  bytes are not what their digest says";
}

}  // namespace floe::cli
