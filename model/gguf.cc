#include "model/gguf.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/internal/gguf_tensors.h"

namespace floe::model {
namespace {

constexpr uint32_t kVersion = 3;
constexpr size_t kAlignment = 32;

// Of a value, as the format numbers them.
enum ValueType : uint32_t {
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9
};

// Little-endian, as this machine is (safetensors asks for the same).
class Bytes {
 public:
  template <typename Number>
  void Put(Number number) {
    const size_t at = text_.size();
    text_.resize(at + sizeof(number));
    std::memcpy(text_.data() + at, &number, sizeof(number));
  }
  void Text(std::string_view text) {
    Put(uint64_t{text.size()});
    text_.append(text);
  }
  void Raw(std::string_view bytes) { text_.append(bytes); }
  void Pad() { text_.resize((text_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0'); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Keys and values, counted.
class Metadata {
 public:
  void Whole(std::string_view key, int64_t value) {
    Begin(key, kUint32);
    bytes_.Put(static_cast<uint32_t>(value));
  }
  void Number(std::string_view key, double value) {
    Begin(key, kFloat32);
    bytes_.Put(static_cast<float>(value));
  }
  void Flag(std::string_view key, bool value) {
    Begin(key, kBool);
    bytes_.Put(static_cast<uint8_t>(value));
  }
  void Text(std::string_view key, std::string_view value) {
    Begin(key, kString);
    bytes_.Text(value);
  }
  void Array(std::string_view key, ValueType type, size_t count) {
    Begin(key, kArray);
    bytes_.Put(uint32_t{type});
    bytes_.Put(uint64_t{count});
  }
  Bytes& bytes() { return bytes_; }
  uint64_t count() const { return count_; }

 private:
  void Begin(std::string_view key, ValueType type) {
    bytes_.Text(key);
    bytes_.Put(uint32_t{type});
    ++count_;
  }
  Bytes bytes_;
  uint64_t count_ = 0;
};

int FileType(const std::vector<GgufTensor>& tensors) {
  for (const GgufTensor& tensor : tensors) {
    if (tensor.shape.size() < 2) continue;
    switch (tensor.source.dtype) {
      case DType::kF32:
        return 0;
      case DType::kF16:
        return 1;
      case DType::kBF16:
        return 32;
      case DType::kI8:
        return 7;  // mostly Q8_0
    }
  }
  return 0;
}

void AddDials(const Blueprint& b, Metadata& metadata) {
  const std::string arch(FamilyName(b.family));
  const auto whole = [&](const char* key, int64_t value) {
    metadata.Whole(absl::StrCat(arch, ".", key), value);
  };
  whole("context_length", b.context);
  whole("embedding_length", b.hidden_size);
  whole("block_count", b.num_layers);
  whole("feed_forward_length", b.ffn_hidden);
  whole("attention.head_count", b.num_heads);
  if (b.family == Family::kGpt2) {
    metadata.Number(absl::StrCat(arch, ".attention.layer_norm_epsilon"), b.norm_eps);
    return;
  }
  whole("attention.head_count_kv", b.num_kv_heads);
  whole("attention.key_length", b.head_dim);
  whole("attention.value_length", b.head_dim);
  whole("rope.dimension_count", b.head_dim);
  whole("vocab_size", b.vocab_size);
  metadata.Number(absl::StrCat(arch, ".rope.freq_base"), b.rope_theta);
  // llama3's bands are the tensor rope_freqs: gguf_tensors.cc.
  if (b.rope_scaling.kind == RopeScalingKind::kLinear) {
    metadata.Text(absl::StrCat(arch, ".rope.scaling.type"), "linear");
    metadata.Number(absl::StrCat(arch, ".rope.scaling.factor"), b.rope_scaling.factor);
  }
  metadata.Number(absl::StrCat(arch, ".attention.layer_norm_rms_epsilon"), b.norm_eps);
}

void AddTokenizer(const GgufTokenizer& tokenizer, int64_t vocab_size, Metadata& metadata) {
  metadata.Text("tokenizer.ggml.model", "gpt2");
  metadata.Text("tokenizer.ggml.pre", tokenizer.pre);
  const auto rows = static_cast<size_t>(vocab_size);
  metadata.Array("tokenizer.ggml.tokens", kString, rows);
  for (size_t id = 0; id < rows; ++id) {
    metadata.bytes().Text(id < tokenizer.tokens.size() ? tokenizer.tokens[id].text
                                                       : absl::StrCat("[PAD", id, "]"));
  }
  metadata.Array("tokenizer.ggml.token_type", kInt32, rows);
  for (size_t id = 0; id < rows; ++id) {
    metadata.bytes().Put(static_cast<int32_t>(
        id < tokenizer.tokens.size() ? tokenizer.tokens[id].type : GgufTokenizer::Type::kUnused));
  }
  metadata.Array("tokenizer.ggml.merges", kString, tokenizer.merges.size());
  for (const std::string& merge : tokenizer.merges) metadata.bytes().Text(merge);
  if (tokenizer.bos) metadata.Whole("tokenizer.ggml.bos_token_id", *tokenizer.bos);
  if (tokenizer.eos) metadata.Whole("tokenizer.ggml.eos_token_id", *tokenizer.eos);
  if (tokenizer.pad) metadata.Whole("tokenizer.ggml.padding_token_id", *tokenizer.pad);
  metadata.Flag("tokenizer.ggml.add_bos_token", tokenizer.add_bos);
  if (!tokenizer.chat_template.empty()) {
    metadata.Text("tokenizer.chat_template", tokenizer.chat_template);
  }
}

std::string Header(const Blueprint& blueprint, const std::vector<GgufTensor>& tensors,
                   const GgufTokenizer& tokenizer, const std::string& name) {
  Metadata metadata;
  metadata.Text("general.architecture", FamilyName(blueprint.family));
  metadata.Text("general.name", name);
  metadata.Whole("general.file_type", FileType(tensors));
  metadata.Whole("general.alignment", kAlignment);
  AddDials(blueprint, metadata);
  AddTokenizer(tokenizer, blueprint.vocab_size, metadata);

  Bytes header;
  header.Raw("GGUF");
  header.Put(kVersion);
  header.Put(uint64_t{tensors.size()});
  header.Put(metadata.count());
  header.Raw(metadata.bytes().text());
  uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    header.Text(tensor.name);
    header.Put(static_cast<uint32_t>(tensor.shape.size()));
    // The fastest dimension stands first.
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) {
      header.Put(static_cast<uint64_t>(*dim));
    }
    header.Put(tensor.GgmlType());
    header.Put(offset);
    offset += (tensor.ByteSize() + kAlignment - 1) / kAlignment * kAlignment;
  }
  header.Pad();
  return header.text();
}

}  // namespace

absl::Status WriteGguf(const std::filesystem::path& path, const Checkpoint& checkpoint,
                       const GgufTokenizer& tokenizer, const std::string& name) {
  const Blueprint& blueprint = checkpoint.blueprint();
  if (blueprint.family != Family::kGpt2 && blueprint.ffn != FfnKind::kGated) {
    return absl::UnimplementedError(absl::StrCat("llama.cpp has no ",
                                                 AbslView(FamilyName(blueprint.family)),
                                                 " with a plain FFN; no other program has"));
  }
  if (blueprint.rope_scaling.kind == RopeScalingKind::kLlama3 &&
      blueprint.family != Family::kLlama) {
    return absl::UnimplementedError(
        absl::StrCat("llama.cpp scales RoPE in llama3's way in llama alone, and would not in ",
                     AbslView(FamilyName(blueprint.family))));
  }
  if (tokenizer.tokens.size() > static_cast<size_t>(blueprint.vocab_size)) {
    return absl::InvalidArgumentError(absl::StrCat("the tokenizer has ", tokenizer.tokens.size(),
                                                   " tokens, the model's vocab_size is ",
                                                   blueprint.vocab_size));
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<GgufTensor> tensors, GgufTensorsOf(checkpoint));
  FLOE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  FLOE_RETURN_IF_ERROR(file.Append(Header(blueprint, tensors, tokenizer, name)));
  for (const GgufTensor& tensor : tensors) {
    std::string bytes = tensor.Bytes();
    bytes.resize((bytes.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    FLOE_RETURN_IF_ERROR(file.Append(bytes));
  }
  FLOE_RETURN_IF_ERROR(file.Sync(0644));
  return file.Commit(path);
}

}  // namespace floe::model
