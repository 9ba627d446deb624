#include "model/hugging_face_folder.h"

#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "model/shard_index.h"

namespace floe::model {
namespace {

namespace fs = std::filesystem;

constexpr char kWeightsFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr uint64_t kMaxJsonBytes = 64 << 20;
constexpr uint64_t kMaxTokenizerBytes = 256 << 20;
constexpr char kHead[] = "lm_head.weight";

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

absl::Status Bad(const fs::path& file, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", AbslView(what)));
}

absl::Status In(const fs::path& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file.string(), ": ", status.message()));
}

absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const fs::path& path) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxJsonBytes));
  auto files = ParseShardIndex(text);
  if (!files.ok()) return In(path, files.status());
  return files;
}

// What is stored beside the weights without being one.
bool CarriesNothing(Family family, std::string_view name) {
  if (name.ends_with(".rotary_emb.inv_freq")) return true;
  return family == Family::kGpt2 &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

// A folder of the bare trunk (AutoModel) has no prefix.
std::string FullName(Family family, const std::string& name) {
  const std::string_view prefix = family == Family::kGpt2 ? "transformer." : "model.";
  if (name == kHead || name.starts_with(prefix)) return name;
  return absl::StrCat(AbslView(prefix), name);
}

absl::Status CheckFinite(const NamedTensor& named) {
  const std::vector<float> values = named.tensor.ToFloats();
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::DataLossError(absl::StrCat("tensor ", named.name, " holds a NaN or infinity at ",
                                            i, "; these weights cannot be served"));
  }
  return absl::OkStatus();
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace

absl::StatusOr<HuggingFaceFolder> HuggingFaceFolder::Open(const fs::path& folder) {
  HuggingFaceFolder opened;
  FLOE_ASSIGN_OR_RETURN(const std::string config, ReadFile(folder / "config.json", kMaxJsonBytes));
  const absl::StatusOr<Blueprint> blueprint = ParseConfigJson(config);
  if (!blueprint.ok()) return In(folder, blueprint.status());
  opened.blueprint_ = *blueprint;
  FLOE_RETURN_IF_ERROR(opened.ReadWeights(folder));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    if (!Exists(folder / name)) continue;
    FLOE_ASSIGN_OR_RETURN(opened.tokenizer_files_[name],
                          ReadFile(folder / name, kMaxTokenizerBytes));
  }
  return opened;
}

absl::StatusOr<SafetensorsHeader> HuggingFaceFolder::OpenWeights(const fs::path& path) {
  FLOE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensors(file);
  if (!header.ok()) return In(path, header.status());
  files_.push_back(std::move(file));  // views stay: what is mapped does not move
  return header;
}

absl::Status HuggingFaceFolder::ReadWeights(const fs::path& folder) {
  ByName found;
  if (Exists(folder / kWeightsFile)) {
    FLOE_ASSIGN_OR_RETURN(SafetensorsHeader header, OpenWeights(folder / kWeightsFile));
    found = std::move(header.tensors);
  } else if (Exists(folder / kIndexFile)) {
    FLOE_RETURN_IF_ERROR(ReadShards(folder, found));
  } else if (Exists(folder / "pytorch_model.bin") ||
             Exists(folder / "pytorch_model.bin.index.json")) {
    return absl::UnimplementedError(
        absl::StrCat(folder.string(),
                     " has pickled weights (pytorch_model.bin), which run code when they are "
                     "opened; save the model as safetensors first"));
  } else {
    return absl::NotFoundError(absl::StrCat(folder.string(), " has neither ", kWeightsFile, " nor ",
                                            kIndexFile, "; name a folder with weights"));
  }
  return Take(std::move(found));
}

absl::Status HuggingFaceFolder::ReadShards(const fs::path& folder, ByName& found) {
  FLOE_ASSIGN_OR_RETURN(const auto file_of, ReadIndex(folder / kIndexFile));
  std::map<std::string, SafetensorsHeader> shards;
  for (const auto& [tensor, file] : file_of) {
    auto shard = shards.find(file);
    if (shard == shards.end()) {
      FLOE_ASSIGN_OR_RETURN(SafetensorsHeader header, OpenWeights(folder / file));
      shard = shards.emplace(file, std::move(header)).first;
    }
    const auto view = shard->second.tensors.find(tensor);
    if (view == shard->second.tensors.end()) {
      return Bad(folder / kIndexFile, absl::StrCat("weight_map puts ", tensor.substr(0, 120),
                                                   " into ", file, ", which does not hold it"));
    }
    found[tensor] = view->second;
  }
  for (const auto& [file, header] : shards) {
    for (const auto& [tensor, view] : header.tensors) {
      const auto listed = file_of.find(tensor);
      if (listed != file_of.end() && listed->second == file) continue;
      return Bad(folder / file,
                 absl::StrCat("holds ", tensor.substr(0, 120),
                              listed == file_of.end()
                                  ? ", which weight_map does not list"
                                  : absl::StrCat(", which weight_map puts into ", listed->second)));
    }
  }
  return absl::OkStatus();
}

absl::Status HuggingFaceFolder::Take(ByName found) {
  ByName named;
  for (auto& [name, view] : found) {
    if (CarriesNothing(blueprint_.family, name)) {
      left_out_.push_back(name);
      continue;
    }
    const std::string full = FullName(blueprint_.family, name);
    if (!named.emplace(full, std::move(view)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("the weights hold ", full, " twice, with and without its prefix"));
    }
  }
  const std::vector<TensorSpec> specs = TensorsOf(blueprint_);
  if (const auto head = named.find(kHead); blueprint_.tie_embeddings && head != named.end()) {
    const auto table = named.find(specs.front().name);
    if (table == named.end() || table->second.bytes != head->second.bytes) {
      return absl::InvalidArgumentError(absl::StrCat("config.json ties the embeddings, but ", kHead,
                                                     " differs from ", specs.front().name,
                                                     "; set tie_word_embeddings to false"));
    }
    left_out_.push_back(kHead);
    named.erase(head);
  }
  for (const TensorSpec& spec : specs) {
    const auto view = named.find(spec.name);
    if (view == named.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the weights lack the tensor ", spec.name, " of ", ShapeText(spec.shape)));
    }
    if (view->second.shape != spec.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tensor ", spec.name, " is ", ShapeText(view->second.shape),
                       ", but config.json makes it ", ShapeText(spec.shape)));
    }
    tensors_.push_back({spec.name, view->second});
    FLOE_RETURN_IF_ERROR(CheckFinite(tensors_.back()));
    named.erase(view);
  }
  if (named.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the weights hold a tensor ",
                                                 named.begin()->first.substr(0, 120),
                                                 " that config.json does not ask for"));
}

absl::Status CheckOthersRead(const Manifest& manifest) {
  const Blueprint& b = manifest.blueprint;
  if (b.family != Family::kGpt2 && b.ffn == FfnKind::kPlain) {
    return absl::UnimplementedError(absl::StrCat(
        "transformers has no ", AbslView(FamilyName(b.family)),
        " with a plain FFN, and fills the gate_proj that it misses with random numbers"));
  }
  if (manifest.weight_format != WeightFormat::kFloat) {
    return absl::UnimplementedError(
        "transformers cannot load our 8-bit weights; llama.cpp can, from --format gguf");
  }
  return absl::OkStatus();
}

}  // namespace floe::model
