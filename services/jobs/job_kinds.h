// The kinds of work that a service offers: how it reads and checks their specifications.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "services/runtime/call.h"

namespace floe::jobs {

// A specification as it is queued.
struct CheckedSpec {
  // Implicit, as most kinds know nothing else.
  CheckedSpec(std::string text, int64_t memory = 0)  // NOLINT(google-explicit-constructor)
      : spec(std::move(text)), memory_bytes(memory) {}

  std::string spec;          // JSON
  int64_t memory_bytes = 0;  // about what it takes of a runner's; 0: not known
};

// Of several checks of one specification: one mistake as it is, several under one another; an error
// that is no mistake of the person when there is none. OK when all are.
absl::Status AllMistakes(const std::vector<absl::Status>& found);

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
  virtual absl::StatusOr<CheckedSpec> Validate(const runtime::CallContext& call,
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
