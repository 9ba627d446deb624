#include "model/internal/gguf_tensors.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::model {
namespace {

struct Renamed {
  std::string_view from;
  std::string_view to;
  GgufTensor::Order order = GgufTensor::Order::kAsStored;
};

constexpr auto kTransposed = GgufTensor::Order::kTransposed;

constexpr Renamed kWhole[] = {{"model.embed_tokens", "token_embd"},
                              {"model.norm", "output_norm"},
                              {"lm_head", "output"},
                              {"transformer.wte", "token_embd"},
                              {"transformer.wpe", "position_embd"},
                              {"transformer.ln_f", "output_norm"}};
constexpr Renamed kInLayer[] = {{"input_layernorm", "attn_norm"},
                                {"self_attn.q_proj", "attn_q"},
                                {"self_attn.k_proj", "attn_k"},
                                {"self_attn.v_proj", "attn_v"},
                                {"self_attn.o_proj", "attn_output"},
                                {"self_attn.q_norm", "attn_q_norm"},
                                {"self_attn.k_norm", "attn_k_norm"},
                                {"post_attention_layernorm", "ffn_norm"},
                                {"mlp.gate_proj", "ffn_gate"},
                                {"mlp.up_proj", "ffn_up"},
                                {"mlp.down_proj", "ffn_down"},
                                {"ln_1", "attn_norm"},
                                {"attn.c_attn", "attn_qkv", kTransposed},
                                {"attn.c_proj", "attn_output", kTransposed},
                                {"ln_2", "ffn_norm"},
                                {"mlp.c_fc", "ffn_up", kTransposed},
                                {"mlp.c_proj", "ffn_down", kTransposed}};

const Renamed* Find(std::string_view stem, const Renamed* begin, const Renamed* end) {
  for (const Renamed* one = begin; one != end; ++one) {
    if (one->from == stem) return one;
  }
  return nullptr;
}

// model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight
absl::StatusOr<GgufTensor> Rename(const std::string& name) {
  std::string_view rest = name;
  const size_t dot = rest.rfind('.');
  const std::string_view kind = rest.substr(dot);  // .weight, .bias
  rest = rest.substr(0, dot);
  GgufTensor tensor;
  for (const std::string_view layers : {"model.layers.", "transformer.h."}) {
    if (!rest.starts_with(layers)) continue;
    rest.remove_prefix(layers.size());
    const size_t end = rest.find('.');
    const std::string_view index = rest.substr(0, end);
    const Renamed* found = Find(rest.substr(end + 1), std::begin(kInLayer), std::end(kInLayer));
    if (found == nullptr) break;
    tensor.name = absl::StrCat("blk.", AbslView(index), ".", AbslView(found->to), AbslView(kind));
    if (kind == ".weight") tensor.order = found->order;
    return tensor;
  }
  const Renamed* found = Find(rest, std::begin(kWhole), std::end(kWhole));
  if (found == nullptr) {
    return absl::InternalError(absl::StrCat("the tensor ", name, " has no name in GGUF"));
  }
  tensor.name = absl::StrCat(AbslView(found->to), AbslView(kind));
  return tensor;
}

// llama.cpp turns neighbouring pairs in `llama`; the checkpoint's halves are interleaved for it.
void SetRopeOrder(const Blueprint& b, GgufTensor& tensor) {
  if (b.family != Family::kLlama) return;
  const bool q = absl::EndsWith(tensor.name, "attn_q.weight");
  if (!q && !absl::EndsWith(tensor.name, "attn_k.weight")) return;
  tensor.order = GgufTensor::Order::kRopePairs;
  tensor.heads = q ? b.num_heads : b.num_kv_heads;
}

// llama.cpp divides each pair's angle by its number here.
GgufTensor RopeFactors(const Blueprint& b) {
  const auto plain = RopeInverseFrequencies(b.head_dim, b.rope_theta, {});
  const auto scaled = RopeInverseFrequencies(b.head_dim, b.rope_theta, b.rope_scaling);
  GgufTensor tensor;
  tensor.name = "rope_freqs.weight";
  tensor.shape = {b.head_dim / 2};
  for (size_t i = 0; i < plain.size(); ++i) {
    tensor.computed.push_back(static_cast<float>(plain[i] / scaled[i]));
  }
  return tensor;
}

// `source` is [rows, columns] of `width` bytes a number.
std::string Transposed(std::string_view source, int64_t rows, int64_t columns, size_t width) {
  std::string out(source.size(), '\0');
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      std::memcpy(out.data() + static_cast<size_t>(c * rows + r) * width,
                  source.data() + static_cast<size_t>(r * columns + c) * width, width);
    }
  }
  return out;
}

// Within each head: row i of the first half goes to 2 i, row i of the second to 2 i + 1.
int64_t PairedRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, in_head = row % head_dim, half = head_dim / 2;
  return head * head_dim + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
}

std::string Paired(std::string_view source, int64_t rows, int64_t heads) {
  const size_t row_bytes = source.size() / static_cast<size_t>(rows);
  std::string out(source.size(), '\0');
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(out.data() + static_cast<size_t>(PairedRow(row, rows / heads)) * row_bytes,
                source.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
  }
  return out;
}

// A block of GGML's type Q8_0: the scale in F16, then 32 numbers.
constexpr int64_t kQ8BlockBytes = 2 + kQuantizationGroup;

std::string Q8Blocks(const GgufTensor& tensor) {
  const bool transposed = tensor.order == GgufTensor::Order::kTransposed;
  const MatrixLayout layout{tensor.shape[0], tensor.shape[1], transposed};
  const int64_t groups = QuantizationGroups(layout.in);
  std::string out(static_cast<size_t>(layout.out * groups * kQ8BlockBytes), '\0');
  for (int64_t row = 0; row < layout.out; ++row) {
    const int64_t to = tensor.order == GgufTensor::Order::kRopePairs
                           ? PairedRow(row, layout.out / tensor.heads)
                           : row;
    for (int64_t group = 0; group < groups; ++group) {
      char* block = out.data() + (to * groups + group) * kQ8BlockBytes;
      std::memcpy(block, tensor.scales.bytes.data() + 2 * layout.ScaleAt(row, group), 2);
      for (int64_t i = 0; i < kQuantizationGroup; ++i) {
        const int64_t at = layout.At(row, group * kQuantizationGroup + i);
        block[2 + i] = tensor.source.bytes[static_cast<size_t>(at)];
      }
    }
  }
  return out;
}

}  // namespace

uint32_t GgufTensor::GgmlType() const {
  if (Widened()) return 0;
  switch (source.dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kBF16:
      return 30;
    case DType::kI8:
      return 8;
  }
  return 0;
}

uint64_t GgufTensor::ByteSize() const {
  if (!computed.empty()) return computed.size() * sizeof(float);
  if (Quantized()) return source.bytes.size() / kQuantizationGroup * kQ8BlockBytes;
  return Widened() ? source.bytes.size() * 2 : source.bytes.size();
}

std::string GgufTensor::Bytes() const {
  if (!computed.empty()) {
    return {reinterpret_cast<const char*>(computed.data()), computed.size() * sizeof(float)};
  }
  if (Quantized()) return Q8Blocks(*this);
  if (Widened()) {
    const std::vector<float> values = source.ToFloats();
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }
  switch (order) {
    case Order::kTransposed:
      return Transposed(source.bytes, source.shape[0], source.shape[1],
                        static_cast<size_t>(DTypeBytes(source.dtype)));
    case Order::kRopePairs:
      return Paired(source.bytes, source.shape[0], heads);
    case Order::kAsStored:
      break;
  }
  return std::string(source.bytes);
}

absl::StatusOr<std::vector<GgufTensor>> GgufTensorsOf(const Checkpoint& checkpoint) {
  std::vector<GgufTensor> tensors;
  if (checkpoint.blueprint().rope_scaling.kind == RopeScalingKind::kLlama3) {
    tensors.push_back(RopeFactors(checkpoint.blueprint()));
  }
  for (const TensorSpec& spec : TensorsOf(checkpoint.blueprint())) {
    FLOE_ASSIGN_OR_RETURN(GgufTensor tensor, Rename(spec.name));
    FLOE_ASSIGN_OR_RETURN(tensor.source, checkpoint.Tensor(spec.name));
    SetRopeOrder(checkpoint.blueprint(), tensor);
    tensor.shape = spec.shape;
    if (tensor.order == GgufTensor::Order::kTransposed) {
      std::swap(tensor.shape[0], tensor.shape[1]);
    }
    if (tensor.Quantized()) {
      if (tensor.shape[1] % kQuantizationGroup != 0) {
        return absl::UnimplementedError(absl::StrCat(
            "GGUF cuts rows of 8-bit weights into blocks of ", kQuantizationGroup, ", but ",
            spec.name, " has rows of ", tensor.shape[1], "; export the version it was made from"));
      }
      FLOE_ASSIGN_OR_RETURN(tensor.scales, checkpoint.Tensor(ScaleName(spec.name)));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace floe::model
