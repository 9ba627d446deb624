// Any bytes as a file that describes hardware, and as the amounts that people write: refused, or
// figures that can be.
#include <string>

#include "cli/plan/hardware_file.h"

#include "tests/support/fuzzing.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::cli;
  const std::string_view text = floe::test::AsText(data, size);
  const auto hardware = ParseHardware(text);
  if (hardware.ok()) {
    Require(hardware->Validate().ok() && hardware->memory_bytes > 0);
    Require(hardware->price_microdollars_per_hour >= 0 && !hardware->name.empty());
  }
  for (const auto& amount : {ParseMemory(text), ParseQuantity(text), ParseDollars(text)}) {
    Require(!amount.ok() || *amount >= 0);
  }
  return 0;
}
