// What the registry needs from outside: files for the bytes, tables for everything else.
//
// All ports are thread-safe. Queries are given the team whose resources they may see; use cases and
// services have checked that the caller belongs to it (caller.h). UNAVAILABLE means that the
// database or the disk is away.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/page.h"
#include "registry/alias.h"
#include "registry/blob.h"
#include "registry/caller.h"
#include "registry/dataset.h"
#include "registry/evaluation.h"
#include "registry/gate.h"
#include "registry/model_version.h"
#include "registry/names.h"
#include "registry/tokenizer_revision.h"

namespace floe::registry {

// A blob that is being received. Not thread-safe. What was not placed is removed with the object.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // RESOURCE_EXHAUSTED when the disk is full.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // Ends the receiving: the bytes are durable, this is what they are.
  virtual absl::StatusOr<Blob> Seal() = 0;
  // Puts the sealed blob under its name, over one that is there. May be repeated.
  virtual absl::Status Place() = 0;
};

// The bytes of all blobs, by digest.
class BlobStore {
 public:
  using Sink = absl::FunctionRef<absl::Status(std::string_view piece)>;

  virtual ~BlobStore() = default;
  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> Begin() = 0;
  // How many bytes are stored; NOT_FOUND when there are none under this name.
  virtual absl::StatusOr<int64_t> Size(std::string_view digest) = 0;
  // Gives the bytes from `offset` on to `sink`, in pieces of at most 1 MiB, comparing all bytes
  // with the digest on the way. DATA_LOSS naming the blob when they are not the ones that were
  // stored; the last piece is held back until that is known, so nobody gets a whole wrong blob. A
  // status of `sink` ends the reading and is returned.
  virtual absl::Status Read(const Blob& blob, int64_t offset, Sink sink) = 0;
  virtual absl::Status Remove(std::string_view digest) = 0;
  // Every stored blob, in no order, with the time it was placed.
  virtual absl::Status ForEach(
      absl::FunctionRef<absl::Status(const Blob& blob, absl::Time placed)> visit) = 0;
  // Removes what broken uploads left behind before `before`; how many files.
  virtual absl::StatusOr<int64_t> RemoveUnfinished(absl::Time before) = 0;
};

// Which blobs there are and which team may read them: a team that sent the bytes, or whose resource
// holds them. An empty team may read all.
class BlobIndex {
 public:
  using Action = absl::FunctionRef<absl::Status()>;

  struct Entry {
    Blob blob;
    bool damaged = false;  // its bytes were found changed
  };

  virtual ~BlobIndex() = default;
  // NOT_FOUND also when it is there, but not for `team`.
  virtual absl::StatusOr<Entry> Find(std::string_view team, std::string_view digest) = 0;
  // Runs `place` and makes the blob `team`'s, while nobody else places or forgets this digest.
  virtual absl::Status Add(std::string_view team, const Blob& blob, absl::Time now,
                           Action place) = 0;
  virtual absl::Status MarkDamaged(std::string_view digest, absl::Time now) = 0;
  // Blobs that no resource holds and that nobody sent since `before`, by digest after `after`.
  virtual absl::StatusOr<std::vector<Blob>> Unreferenced(absl::Time before, std::string_view after,
                                                         int limit) = 0;
  // Forgets the blob and runs `remove`, unless a resource holds it or someone has sent it since
  // `before`; true when it is gone. A digest that is not known counts as unreferenced.
  virtual absl::StatusOr<bool> Forget(std::string_view digest, absl::Time before,
                                      Action remove) = 0;
  // Forgets answers to request ids from before `before`.
  virtual absl::Status ForgetRequests(absl::Time before) = 0;
};

// Datasets and tokenizers. Creating returns the revision that exists when the name has this content
// already. FAILED_PRECONDITION (BLOB_MISSING) when the team has not uploaded a blob.
class Artifacts {
 public:
  virtual ~Artifacts() = default;
  virtual absl::StatusOr<Dataset> CreateDataset(const RequestKey& request,
                                                const Dataset& dataset) = 0;
  virtual absl::StatusOr<Dataset> GetDataset(const RevisionName& name) = 0;
  virtual absl::StatusOr<Listed<Dataset>> ListDatasets(std::string_view team, const Page& page) = 0;
  // ALREADY_EXISTS when the revision is there with another tokenizer_config.json.
  virtual absl::StatusOr<TokenizerRevision> CreateTokenizer(const RequestKey& request,
                                                            const TokenizerRevision& tokenizer) = 0;
  virtual absl::StatusOr<TokenizerRevision> GetTokenizer(const RevisionName& name) = 0;
  virtual absl::StatusOr<Listed<TokenizerRevision>> ListTokenizers(std::string_view team,
                                                                   const Page& page) = 0;
};

struct AliasChange {
  AliasName name;
  int64_t version = 0;
  std::string etag;  // empty: whatever it is now
  std::string actor;
  std::string reason;
  bool override_gates = false;  // moves though they refuse; what they said is kept
  absl::Time time;
};

// Models, versions and aliases. Every method is one transaction.
class Models {
 public:
  virtual ~Models() = default;
  virtual absl::StatusOr<Model> GetModel(const OwnedName& name) = 0;
  virtual absl::StatusOr<Listed<Model>> ListModels(std::string_view team, const Page& page) = 0;
  // Gives the next number and makes the model when it is the first; the model's version with this
  // digest when there is one. FAILED_PRECONDITION (BLOB_MISSING) naming each blob that the team has
  // not uploaded.
  virtual absl::StatusOr<ModelVersion> Publish(const RequestKey& request,
                                               const ModelVersion& version) = 0;
  virtual absl::StatusOr<ModelVersion> GetVersion(const VersionName& name) = 0;
  virtual absl::StatusOr<Listed<ModelVersion>> ListVersions(const OwnedName& model,
                                                            const Page& page) = 0;
  virtual absl::StatusOr<ModelVersion> Resolve(std::string_view team,
                                               const Reference& reference) = 0;
  // FAILED_PRECONDITION (VERSION_IN_USE) naming the aliases that point at it and the versions that
  // were made from it.
  virtual absl::Status DeleteVersion(const RequestKey& request, const VersionName& name,
                                     absl::Time now) = 0;
  // ABORTED (ETAG_MISMATCH) when the alias moved since the etag was read. FAILED_PRECONDITION
  // (GATE_CLOSED) with what FailingGates says of the model's policy and the evidence of this very
  // moment. Pointing it where it points already changes nothing.
  virtual absl::StatusOr<Alias> SetAlias(const RequestKey& request, const AliasChange& change) = 0;
  virtual absl::StatusOr<Alias> GetAlias(const AliasName& name) = 0;
};

// Evidence. Immutable once there.
class Evaluations {
 public:
  virtual ~Evaluations() = default;
  // The same id again returns what is there.
  virtual absl::StatusOr<Evaluation> Create(const RequestKey& request,
                                            const Evaluation& evaluation) = 0;
  virtual absl::StatusOr<Evaluation> Get(std::string_view team, std::string_view id) = 0;
  // Newest first; an empty digest means any.
  virtual absl::StatusOr<Listed<Evaluation>> List(std::string_view team,
                                                  std::string_view model_digest,
                                                  std::string_view dataset_digest,
                                                  const Page& page) = 0;
};

// Gate policies, one a model at most.
class Gates {
 public:
  virtual ~Gates() = default;
  // NOT_FOUND when there is no such model. An empty text removes the policy.
  virtual absl::StatusOr<GatePolicy> Set(const RequestKey& request, const GatePolicy& policy) = 0;
  virtual absl::StatusOr<GatePolicy> Get(const OwnedName& model) = 0;
};

}  // namespace floe::registry
