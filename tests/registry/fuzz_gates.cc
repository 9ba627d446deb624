// Any bytes as a policy of gates: refused, or gates that are written and read back unchanged.
#include "registry/gate.h"
#include "tests/support/fuzzing.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto gates = floe::registry::ParseGates(floe::test::AsText(data, size));
  if (!gates.ok()) {
    Require(!gates.status().message().empty());
    return 0;
  }
  const auto again = floe::registry::ParseGates(floe::registry::GatesJson(*gates));
  Require(again.ok() && *again == *gates);
  return 0;
}
