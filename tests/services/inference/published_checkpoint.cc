#include "tests/services/inference/published_checkpoint.h"

#include <map>
#include <utility>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "model/checkpoint.h"
#include "registry/blobs/layout.h"
#include "tokenizer/tokenizer.h"

namespace floe::inference {

std::string ByteTokenizerJson(const std::string& last) {
  tokenizer::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  vocabulary.tokens.emplace_back();
  vocabulary.added.push_back({kEndOfText, last});
  const auto tokenizer = tokenizer::Tokenizer::Create(std::move(vocabulary));
  if (!tokenizer.ok()) ADD_FAILURE() << tokenizer.status();
  return (*tokenizer)->ToJson();
}

std::string PublishCheckpoint(const std::filesystem::path& folder,
                              const std::filesystem::path& blobs,
                              const PublishedCheckpoint& options) {
  model::Blueprint blueprint = TinyBlueprint(model::Family::kQwen3);
  blueprint.vocab_size = kEndOfText + 1;
  blueprint.context = options.context;
  blueprint.num_layers = options.layers;
  std::map<std::string, std::string> files = {{"tokenizer.json", options.tokenizer_json}};
  if (!options.chat_template.empty()) {
    files["tokenizer_config.json"] =
        nlohmann::json{{"chat_template", options.chat_template}}.dump();
  }
  const std::string digest =
      WriteFormulaCheckpoint(folder, blueprint, options.spread, std::move(files), options.odd);
  const auto keep = [&](const std::filesystem::path& file, const std::string& name) {
    const std::filesystem::path blob = registry::BlobPath(blobs, name);
    std::filesystem::create_directories(blob.parent_path());
    std::filesystem::copy(file, blob, std::filesystem::copy_options::skip_existing);
  };
  keep(folder / model::kManifestFile, digest);
  const auto manifest = ReadFile(folder / model::kManifestFile);
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  const auto parsed = model::Manifest::Parse(*manifest);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  for (const auto& [name, entry] : parsed->files) keep(folder / name, entry.digest);
  return digest;
}

}  // namespace floe::inference
