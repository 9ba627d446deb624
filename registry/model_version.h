// A frozen checkpoint under a number. Immutable: what changes (aliases) stands beside it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "registry/blob.h"
#include "registry/names.h"

namespace floe::registry {

struct VersionFile {
  std::string name;  // in the checkpoint's folder; floe.json excepted
  Blob blob;
};

// Parents by digest; empty where there is none. The resource names are looked up when it is read.
struct Lineage {
  std::string parent_digest;
  std::string dataset_digest;
  std::string tokenizer_digest;
  std::string job;
  std::string dataset;    // teams/…/datasets/…, where that digest is registered
  std::string tokenizer;  // teams/…/tokenizers/…, where that digest is registered
};

struct ModelVersion {
  VersionName name;      // the number is given when it is published
  std::string digest;    // SHA-256 of `manifest`
  std::string manifest;  // the canonical bytes of floe.json
  std::vector<VersionFile> files;
  Lineage lineage;
  std::map<std::string, double> metrics;
  int64_t parameters = 0;
  std::string creator;
  absl::Time create_time;
  std::vector<std::string> aliases;  // ids of those that point here now
};

// The version that `manifest` describes, without a number yet: digest, files, parents and
// parameters come from the manifest. INVALID_ARGUMENT says what is wrong with it; a manifest must
// be in its canonical form, or two digests would name one checkpoint.
absl::StatusOr<ModelVersion> VersionFromManifest(const OwnedName& model, std::string_view manifest);

// INVALID_ARGUMENT names the metric or the job that is wrong.
absl::Status ValidateEvidence(const ModelVersion& version);

}  // namespace floe::registry
