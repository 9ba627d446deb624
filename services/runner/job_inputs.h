// What every executor does first: calls on behalf of the job's team, and files by digest.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"
#include "services/runtime/client.h"

namespace floe::runner {

inline constexpr absl::Duration kAskTime = absl::Seconds(30);    // a question to the registry
inline constexpr absl::Duration kTransferTime = absl::Hours(2);  // files to and from it
inline constexpr int64_t kMaxTokenizerBytes = 256 << 20;

// With the job's team, the role developer, and the key that submitted it.
runtime::OutgoingCall CallFor(const Assignment& job, absl::Duration at_most);

// A blob as a file of this name in the job's folder; one of an earlier attempt is used again when
// its bytes have the digest.
absl::StatusOr<std::filesystem::path> FetchFile(registry::RegistryClient& registry,
                                                const Assignment& job, const std::string& digest,
                                                const std::string& name);

}  // namespace floe::runner
