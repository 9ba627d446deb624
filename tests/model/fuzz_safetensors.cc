// Any bytes as a safetensors file: refused, or tensors that lie inside it and cover its data.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const auto header = floe::model::ParseSafetensors(file);
  if (!header.ok()) return 0;
  size_t covered = 0;
  for (const auto& [name, view] : header->tensors) {
    if (view.bytes.data() < file.data() ||
        view.bytes.data() + view.bytes.size() > file.data() + file.size()) {
      std::abort();
    }
    if (view.ToFloats().size() != static_cast<size_t>(view.NumElements())) std::abort();
    covered += view.bytes.size();
  }
  if (covered + 8 > size) std::abort();
  return 0;
}
