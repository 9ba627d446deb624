// Use cases around evidence: evaluations are kept, and gate policies are set.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows its parts.
class Attest {
 public:
  struct Parts {
    Evaluations& evaluations;
    Gates& gates;
    Artifacts& artifacts;
    const Clock& clock;
  };
  explicit Attest(const Parts& parts) : parts_(parts) {}

  // NOT_FOUND for another team, INVALID_ARGUMENT naming the field.
  absl::StatusOr<Evaluation> Create(const Caller& caller, const RequestKey& request,
                                    Evaluation evaluation);

  // Pins each dataset to the digest that its id has now. INVALID_ARGUMENT names the line; NOT_FOUND
  // the dataset or the model. An empty text removes the policy.
  absl::StatusOr<GatePolicy> SetPolicy(const Caller& caller, const RequestKey& request,
                                       const OwnedName& model, const std::string& text);

 private:
  const Parts parts_;
};

}  // namespace floe::registry
