// The kinds of work that a service offers: how it reads and checks their specifications.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "services/runtime/call.h"

namespace floe::jobs {

// Implemented by the service that mounts the queue. Thread-safe.
class JobKind {
 public:
  virtual ~JobKind() = default;

  // `pretrain`, `tokenizer.train`, ...
  virtual std::string name() const = 0;

  // How often a job of this kind may be started before it fails for good.
  virtual int max_attempts() const { return 3; }

  // Checks what a person wrote (YAML or JSON) for `team` (its id), also against other services, on
  // behalf of the caller. Returns the specification as JSON with every default filled in and every
  // reference pinned to a digest, which is all that the executor gets. INVALID_ARGUMENT names the
  // line and the key; NOT_FOUND names the resource.
  virtual absl::StatusOr<std::string> Validate(const runtime::CallContext& call,
                                               const std::string& team,
                                               const std::string& spec) = 0;
};

// Immutable, thread-safe. Borrows the kinds.
class JobKinds {
 public:
  explicit JobKinds(std::vector<JobKind*> kinds) : kinds_(std::move(kinds)) {}

  // INVALID_ARGUMENT lists the kinds that there are.
  absl::StatusOr<JobKind*> Find(const std::string& name) const;

 private:
  std::vector<JobKind*> kinds_;
};

}  // namespace floe::jobs
