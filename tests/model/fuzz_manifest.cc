// Any bytes as a manifest: refused, or exactly the bytes that it writes. And any bytes as JSON:
// refused, or a canonical form that is its own.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/canonical_json.h"
#include "model/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto manifest = floe::model::Manifest::Parse(json);
  if (manifest.ok() && manifest->Serialize() != json) std::abort();
  const auto canonical = floe::model::CanonicalJson(json);
  if (!canonical.ok()) return 0;
  const auto again = floe::model::CanonicalJson(*canonical);
  if (!again.ok() || *again != *canonical) std::abort();
  const auto member = floe::model::Manifest::Parse(*canonical);
  if (member.ok() && member->Serialize() != *canonical) std::abort();
  return 0;
}
