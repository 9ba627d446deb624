// floe-bench-exports FOLDER: writes small models of every family as others load them, and what they
// say here. For each, FOLDER/<name>/ gets
//
//   hf/          the checkpoint, which is the Hugging Face folder
//   model.gguf   the same by the exporter of `floe models export --format gguf`
//   ours.json    {text, ids, greedy, logits}: the prompt, its ids, the ids that follow it greedily,
//                and a row of logits after each of ids and greedy
//
// and, for <name> with -int8 instead of -f32, the last two of the F32 weights in 8 bits. FOLDER
// must not exist. scripts/bench_exports.py asks others and compares.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_replace.h"
#include "cli/commands/gguf_tokenizer.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "bench/exports/small_models.h"
#include "bench/program/program.h"
#include "inference/engine/cpu_engine.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/quantization.h"
#include "tokenizer/tokenizer.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<float>>;

constexpr size_t kGreedy = 24;

absl::Status Append(inference::Engine& engine, inference::SequenceId sequence,
                    std::span<const int32_t> tokens, Rows& rows) {
  const inference::SequenceStep step{sequence, tokens, /*all_logits=*/true};
  inference::Logits logits;
  FLOE_RETURN_IF_ERROR(engine.Step({&step, 1}, &logits));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto row = logits.Row(static_cast<int64_t>(i));
    rows.emplace_back(row.begin(), row.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> Ours(const model::Checkpoint& checkpoint, const std::string& tokenizer_json) {
  FLOE_ASSIGN_OR_RETURN(const auto words, tokenizer::Tokenizer::Load(tokenizer_json));
  FLOE_ASSIGN_OR_RETURN(const auto engine, inference::CreateCpuEngine(checkpoint, {}));
  const std::vector<int32_t> ids = words->Encode(Prompt());
  const inference::SequenceId sequence = engine->Open();
  Rows rows;
  std::vector<int32_t> greedy;
  FLOE_RETURN_IF_ERROR(Append(*engine, sequence, ids, rows));
  while (greedy.size() < kGreedy) {
    const std::vector<float>& last = rows.back();
    greedy.push_back(
        static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
    FLOE_RETURN_IF_ERROR(Append(*engine, sequence, {&greedy.back(), 1}, rows));
  }
  return Json{{"text", Prompt()}, {"ids", ids}, {"greedy", greedy}, {"logits", rows}};
}

// model.gguf and ours.json of the checkpoint in `from`.
absl::Status WriteBeside(const fs::path& from, const fs::path& folder) {
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint, model::Checkpoint::Open(from));
  std::map<std::string, std::string> files;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    FLOE_ASSIGN_OR_RETURN(files[name], ReadFile(from / name));
  }
  FLOE_ASSIGN_OR_RETURN(const model::GgufTokenizer words, cli::GgufTokenizerOf(files));
  FLOE_RETURN_IF_ERROR(
      model::WriteGguf(folder / "model.gguf", checkpoint, words, folder.filename().string()));
  FLOE_ASSIGN_OR_RETURN(const Json ours, Ours(checkpoint, files["tokenizer.json"]));
  return WriteFileAtomically(folder / "ours.json", ours.dump());
}

absl::Status WriteAll(const fs::path& to) {
  std::error_code error;
  if (!fs::create_directories(to, error)) {
    return absl::AlreadyExistsError(to.string() + " exists or cannot be made; name a new folder");
  }
  for (const SmallModel& model : SmallModels()) {
    const fs::path folder = to / model.name;
    fs::create_directory(folder, error);
    FLOE_RETURN_IF_ERROR(WriteSmallModel(model, folder / "hf"));
    FLOE_RETURN_IF_ERROR(WriteBeside(folder / "hf", folder));
    if (model.dtype != model::DType::kF32) continue;
    const fs::path narrow = to / absl::StrReplaceAll(model.name, {{"-f32", "-int8"}});
    fs::create_directory(narrow, error);
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint wide, model::Checkpoint::Open(folder / "hf"));
    FLOE_RETURN_IF_ERROR(model::QuantizeCheckpoint(wide, narrow / "checkpoint").status());
    FLOE_RETURN_IF_ERROR(WriteBeside(narrow / "checkpoint", narrow));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  std::string folder;
  CLI::App app("Writes small models of every family as others load them, and what they say",
               "floe-bench-exports");
  app.add_option("folder", folder, "Where to")->required();
  return floe::bench::Main(app, argc, argv, [&] { return floe::bench::WriteAll(folder); });
}
