// Any bytes as an index of shards: refused, or files that lie in the folder beside it.
#include <filesystem>

#include "model/shard_index.h"
#include "tests/support/fuzzing.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto files = floe::model::ParseShardIndex(floe::test::AsText(data, size));
  if (!files.ok()) {
    Require(!files.status().message().empty());
    return 0;
  }
  Require(!files->empty());
  const std::filesystem::path folder = "/models/one";
  for (const auto& [tensor, file] : *files) {
    const std::filesystem::path path = folder / file;
    Require(path.parent_path() == folder && path.lexically_normal() == path);
    Require(path.extension() == ".safetensors" && path.string().find('\0') == std::string::npos);
  }
  return 0;
}
