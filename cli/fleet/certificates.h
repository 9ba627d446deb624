// The fleet's own certificate authority, and a certificate for each service.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace floe::cli {

// Makes `folder` (0700) hold ca.pem, ca.key, and <name>.pem, <name>.key for each name: P-256 keys,
// mode 0600, certificates for localhost, 127.0.0.1 and the name, as server and as client. What is
// there and good for 30 more days stays; otherwise it is made anew (with the authority, all are).
absl::Status EnsureCertificates(const std::filesystem::path& folder,
                                std::span<const std::string> names, absl::Time now);

}  // namespace floe::cli
