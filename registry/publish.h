// Use case: datasets, tokenizers and model versions come into being, with all their bytes or not at
// all.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

// A checkpoint that is to become a version of `model`.
struct VersionDraft {
  OwnedName model;
  std::string manifest;
  std::string job;
  std::map<std::string, double> metrics;
};

// Thread-safe. Borrows its parts. Errors: NOT_FOUND for another team's name, INVALID_ARGUMENT
// naming the field, FAILED_PRECONDITION (BLOB_MISSING) naming the blobs that the caller's team has
// to upload first.
class Publish {
 public:
  struct Parts {
    BlobStore& store;
    BlobIndex& index;
    Artifacts& artifacts;
    Models& models;
    const Clock& clock;
  };
  explicit Publish(const Parts& parts) : parts_(parts) {}

  absl::StatusOr<Dataset> CreateDataset(const Caller& caller, RequestKey request, Dataset dataset);
  absl::StatusOr<TokenizerRevision> CreateTokenizer(const Caller& caller, RequestKey request,
                                                    TokenizerRevision tokenizer);
  // The manifest itself is stored as a blob, so that a worker finds everything by digest.
  absl::StatusOr<ModelVersion> CreateVersion(const Caller& caller, RequestKey request,
                                             const VersionDraft& draft);

 private:
  absl::Status RequireBlobs(const Caller& caller, const std::vector<VersionFile>& files);
  absl::Status StoreManifest(const Caller& caller, const ModelVersion& version);

  const Parts parts_;
};

// The FAILED_PRECONDITION for blobs that have to be uploaded; `what` describes each.
absl::Status BlobsMissing(const std::vector<std::string>& what);

}  // namespace floe::registry
