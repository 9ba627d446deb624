#include "services/runner/job_inputs.h"

#include "base/file_reader.h"
#include "base/status_macros.h"

namespace floe::runner {

runtime::OutgoingCall CallFor(const Assignment& job, absl::Duration at_most) {
  auto call = runtime::OutgoingCall::Own(job.job_id, at_most);
  call.identity.team = job.team;
  call.identity.role = "developer";
  call.identity.key_id = job.creator;
  return call;
}

absl::StatusOr<std::filesystem::path> FetchFile(registry::RegistryClient& registry,
                                                const Assignment& job, const std::string& digest,
                                                const std::string& name) {
  std::filesystem::path file = job.folder / name;
  const auto kept = DigestOf(file);
  if (kept.ok() && kept->sha256 == digest) return file;
  FLOE_RETURN_IF_ERROR(registry.DownloadFile(CallFor(job, kTransferTime), digest, file));
  return file;
}

}  // namespace floe::runner
