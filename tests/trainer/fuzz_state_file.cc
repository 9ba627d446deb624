// Any bytes as what stands between the mark and the checksum of a saved training state, and any
// line as its header: refused, or a header that is written and read back unchanged, and tensors
// that are the file's bytes.
#include <string>

#include "base/sha256.h"
#include "tests/support/fuzzing.h"
#include "trainer/state_file.h"

namespace {

using namespace floe::trainer;
using floe::test::Require;

void CheckHeader(std::string_view json) {
  const auto header = ParseStateHeader(json);
  if (!header.ok()) {
    Require(!header.status().message().empty());
    return;
  }
  Require(header->position.threads >= 0 && header->position.processes >= 0);
  Require(header->position.step >= 0 && header->position.cursor.position >= 0);
  Require(Rng(header->position.cursor.rng).Below(3) < 3);
  const std::string written = StateHeaderJson(*header);
  const auto again = ParseStateHeader(written);
  Require(again.ok() && StateHeaderJson(*again) == written);
}

void CheckFile(std::string_view inside) {
  std::string file = "FLOESTA1" + std::string(inside);
  file += floe::Sha256::Hex(file);
  const auto state = ParseStateFile(file);
  if (!state.ok()) return;
  size_t bytes = 0;
  for (const auto& [name, values] : state->tensors) {
    Require(values.data() >= file.data());
    Require(values.data() + values.size() <= file.data() + file.size() - 64);
    bytes += values.size();
  }
  Require(bytes + 80 <= file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = floe::test::AsText(data, size);
  CheckFile(text);
  const std::string_view header = text.substr(0, text.find('\n'));
  CheckHeader(header);
  const uint64_t length = header.size();
  std::string framed(reinterpret_cast<const char*>(&length), sizeof(length));
  framed += header;
  if (header.size() < text.size()) framed += text.substr(header.size() + 1);
  CheckFile(framed);
  return 0;
}
