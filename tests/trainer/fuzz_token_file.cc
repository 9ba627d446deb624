// Any bytes as a token file: refused, or ids that fill it and are all of its vocabulary.
#include <cstring>

#include "tests/support/fuzzing.h"
#include "trainer/token_file.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto layout = floe::trainer::ParseTokenFile(floe::test::AsText(data, size));
  if (!layout.ok()) return 0;
  const auto width = static_cast<size_t>(layout->width);
  Require(static_cast<size_t>(layout->count) * width + 32 == size);
  for (size_t at = 32; at < size; at += width) {
    uint32_t id = 0;  // the file's ids are little-endian, and so is the machine
    std::memcpy(&id, data + at, width);
    Require(id < layout->vocab_size);
  }
  return 0;
}
