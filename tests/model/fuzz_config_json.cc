// Any bytes as a config.json: refused, or a valid blueprint that is written and read back
// unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto blueprint = floe::model::ParseConfigJson(json);
  if (!blueprint.ok()) return 0;
  if (!blueprint->Validate().ok()) std::abort();
  const auto again = floe::model::ParseConfigJson(floe::model::ConfigJson(*blueprint));
  if (!again.ok() || *again != *blueprint) std::abort();
  return 0;
}
