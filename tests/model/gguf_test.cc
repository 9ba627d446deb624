#include "model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "tests/model/samples.h"
#include "tests/support/temp_dir.h"

namespace floe::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Reads what the format says, by itself: the writer is not asked.
class GgufReader {
 public:
  struct Tensor {
    std::vector<uint64_t> ne;  // the fastest dimension first
    uint32_t type = 0;
    uint64_t offset = 0;
  };

  explicit GgufReader(std::string bytes) : bytes_(std::move(bytes)) {
    EXPECT_EQ(bytes_.substr(0, 4), "GGUF");
    at_ = 4;
    EXPECT_EQ(Take<uint32_t>(), 3u);
    const auto tensor_count = Take<uint64_t>();
    const auto pairs = Take<uint64_t>();
    for (uint64_t i = 0; i < pairs; ++i) ReadPair();
    for (uint64_t i = 0; i < tensor_count; ++i) {
      Tensor& tensor = tensors[Text()];
      tensor.ne.resize(Take<uint32_t>());
      for (uint64_t& dim : tensor.ne) dim = Take<uint64_t>();
      tensor.type = Take<uint32_t>();
      tensor.offset = Take<uint64_t>();
      EXPECT_EQ(tensor.offset % 32, 0u);
    }
    data_ = (at_ + 31) / 32 * 32;
    EXPECT_EQ(bytes_.size() % 32, 0u);
  }

  // Row-major F32.
  std::vector<float> Floats(const std::string& name) const {
    const Tensor& tensor = tensors.at(name);
    EXPECT_EQ(tensor.type, 0u) << name;
    size_t count = 1;
    for (const uint64_t dim : tensor.ne) count *= dim;
    std::vector<float> values(count);
    EXPECT_LE(data_ + tensor.offset + count * sizeof(float), bytes_.size());
    std::memcpy(values.data(), bytes_.data() + data_ + tensor.offset, count * sizeof(float));
    return values;
  }

  std::string Bytes(const Tensor& tensor, int64_t size) const {
    return bytes_.substr(data_ + tensor.offset, static_cast<size_t>(size));
  }

  std::map<std::string, std::string> texts;
  std::map<std::string, double> numbers;
  std::map<std::string, std::vector<std::string>> lists;
  std::map<std::string, Tensor> tensors;

 private:
  template <typename Number>
  Number Take() {
    Number number{};
    EXPECT_LE(at_ + sizeof(number), bytes_.size());
    std::memcpy(&number, bytes_.data() + at_, sizeof(number));
    at_ += sizeof(number);
    return number;
  }
  std::string Text() {
    const auto size = Take<uint64_t>();
    const std::string text = bytes_.substr(at_, size);
    at_ += size;
    return text;
  }
  void ReadPair() {
    const std::string key = Text();
    switch (Take<uint32_t>()) {
      case 4:
        numbers[key] = Take<uint32_t>();
        return;
      case 6:
        numbers[key] = Take<float>();
        return;
      case 7:
        numbers[key] = Take<uint8_t>();
        return;
      case 8:
        texts[key] = Text();
        return;
      case 9:
        break;
      default:
        FAIL() << key << " has a type that this reader does not know";
    }
    const auto type = Take<uint32_t>();
    const auto count = Take<uint64_t>();
    for (uint64_t i = 0; i < count; ++i) {
      lists[key].push_back(type == 8 ? Text() : std::to_string(Take<int32_t>()));
    }
  }

  const std::string bytes_;
  size_t at_ = 0, data_ = 0;
};

class GgufTest : public testing::Test {
 protected:
  Checkpoint Write(const Blueprint& blueprint) {
    const auto folder = temp_.path() / "checkpoint";
    std::filesystem::remove_all(folder);
    const SmallTensors numbers(blueprint);
    EXPECT_TRUE(WriteCheckpoint(folder, {.blueprint = blueprint, .tensors = numbers.Named()}).ok());
    return Checkpoint::Open(folder).value();
  }
  GgufReader Export(const Checkpoint& checkpoint, const GgufTokenizer& tokenizer = {}) {
    const auto path = temp_.path() / "model.gguf";
    EXPECT_TRUE(WriteGguf(path, checkpoint, tokenizer, "hamlet@3").ok());
    return GgufReader(ReadFile(path).value());
  }
  static std::vector<float> Stored(const Checkpoint& checkpoint, const std::string& name) {
    return checkpoint.Tensor(name)->ToFloats();
  }

  test::TempDir temp_;
};

TEST_F(GgufTest, Qwen3KeepsItsNumbersUnderLlamaCppsNames) {
  const Blueprint dials = SmallBlueprint(Family::kQwen3);
  const Checkpoint checkpoint = Write(dials);
  const GgufReader read = Export(checkpoint);
  EXPECT_EQ(read.texts.at("general.architecture"), "qwen3");
  EXPECT_EQ(read.texts.at("general.name"), "hamlet@3");
  EXPECT_EQ(read.numbers.at("qwen3.block_count"), 2);
  EXPECT_EQ(read.numbers.at("qwen3.attention.head_count_kv"), 2);
  EXPECT_EQ(read.numbers.at("qwen3.attention.key_length"), dials.head_dim);
  EXPECT_EQ(read.numbers.at("qwen3.rope.freq_base"), dials.rope_theta);
  EXPECT_EQ(read.tensors.size(), TensorsOf(dials).size());
  EXPECT_THAT(read.tensors.at("blk.1.ffn_down.weight").ne, ElementsAre(24, 16));
  EXPECT_EQ(read.Floats("blk.1.ffn_down.weight"),
            Stored(checkpoint, "model.layers.1.mlp.down_proj.weight"));
  EXPECT_EQ(read.Floats("blk.0.attn_q.weight"),
            Stored(checkpoint, "model.layers.0.self_attn.q_proj.weight"));
  EXPECT_EQ(read.Floats("blk.0.attn_q_norm.weight"),
            Stored(checkpoint, "model.layers.0.self_attn.q_norm.weight"));
  EXPECT_EQ(read.tensors.count("output.weight"), 0u);  // tied
}

TEST_F(GgufTest, LlamasQueriesAndKeysAreTurnedByNeighbouringPairs) {
  const Blueprint dials = SmallBlueprint(Family::kLlama);
  const Checkpoint checkpoint = Write(dials);
  const GgufReader read = Export(checkpoint);
  const std::vector<float> q = Stored(checkpoint, "model.layers.0.self_attn.q_proj.weight");
  const std::vector<float> written = read.Floats("blk.0.attn_q.weight");
  // head_dim 4: of each head, the rows 0 1 | 2 3 become 0 2 1 3.
  const int64_t width = dials.hidden_size;
  const int64_t order[] = {0, 2, 1, 3, 4, 6, 5, 7};
  for (int64_t row = 0; row < 8; ++row) {
    EXPECT_EQ(written[row * width], q[order[row] * width]) << row;
    EXPECT_EQ(written[row * width + width - 1], q[order[row] * width + width - 1]) << row;
  }
  EXPECT_EQ(read.Floats("blk.0.attn_v.weight"),
            Stored(checkpoint, "model.layers.0.self_attn.v_proj.weight"));
  EXPECT_EQ(read.tensors.count("output.weight"), 1u);
}

TEST_F(GgufTest, LinearScalingIsAFactor) {
  Blueprint dials = SmallBlueprint(Family::kQwen2);
  dials.rope_scaling = {.kind = RopeScalingKind::kLinear, .factor = 4};
  const GgufReader read = Export(Write(dials));
  EXPECT_EQ(read.texts.at("qwen2.rope.scaling.type"), "linear");
  EXPECT_EQ(read.numbers.at("qwen2.rope.scaling.factor"), 4);
  EXPECT_EQ(read.tensors.count("rope_freqs.weight"), 0u);
}

TEST_F(GgufTest, Llama3sScalingIsATensorOfWhatDividesEachAngle) {
  Blueprint dials = SmallBlueprint(Family::kLlama);
  dials.head_dim = 8;
  dials.rope_theta = 1e4;  // wavelengths 6.3, 63, 628 and 6283
  dials.context = 1024;
  dials.rope_scaling = {RopeScalingKind::kLlama3, 8, 1, 20, 400};
  const Checkpoint checkpoint = Write(dials);
  const GgufReader read = Export(checkpoint);
  EXPECT_THAT(read.tensors.at("rope_freqs.weight").ne, ElementsAre(4));
  EXPECT_EQ(read.tensors.size(), TensorsOf(dials).size() + 1);
  const std::vector<float> factors = read.Floats("rope_freqs.weight");
  EXPECT_EQ(factors[0], 1);
  // kept = (400 / 62.83185 - 1) / 19 of the frequency, and an eighth of the rest.
  EXPECT_NEAR(factors[1], 1 / (0.2824315 + (1 - 0.2824315) / 8), 1e-5);
  EXPECT_EQ(factors[2], 8);
  EXPECT_EQ(factors[3], 8);
  EXPECT_EQ(read.texts.count("llama.rope.scaling.type"), 0u);
  // What stands behind it is where the header says.
  EXPECT_EQ(read.Floats("blk.0.attn_v.weight"),
            Stored(checkpoint, "model.layers.0.self_attn.v_proj.weight"));
}

TEST_F(GgufTest, Llama3sScalingIsRefusedWhereLlamaCppWouldIgnoreIt) {
  Blueprint dials = SmallBlueprint(Family::kQwen3);
  dials.rope_scaling = {RopeScalingKind::kLlama3, 8, 1, 4, 32};
  const absl::Status refused =
      WriteGguf(temp_.path() / "no.gguf", Write(dials), GgufTokenizer{}, "x");
  EXPECT_TRUE(absl::IsUnimplemented(refused));
  EXPECT_THAT(refused.message(), HasSubstr("would not in qwen3"));
}

TEST_F(GgufTest, Gpt2sConvolutionsBecomeLinearLayers) {
  const Blueprint dials = SmallBlueprint(Family::kGpt2);
  const Checkpoint checkpoint = Write(dials);
  const GgufReader read = Export(checkpoint);
  EXPECT_EQ(read.texts.at("general.architecture"), "gpt2");
  EXPECT_THAT(read.tensors.at("blk.0.attn_qkv.weight").ne, ElementsAre(16, 48));
  const std::vector<float> stored = Stored(checkpoint, "transformer.h.0.attn.c_attn.weight");
  const std::vector<float> written = read.Floats("blk.0.attn_qkv.weight");
  for (int64_t in = 0; in < 16; ++in) {
    for (int64_t out = 0; out < 48; ++out) {
      ASSERT_EQ(written[out * 16 + in], stored[in * 48 + out]);
    }
  }
  EXPECT_EQ(read.Floats("blk.0.attn_qkv.bias"),
            Stored(checkpoint, "transformer.h.0.attn.c_attn.bias"));
  EXPECT_EQ(read.Floats("position_embd.weight"), Stored(checkpoint, "transformer.wpe.weight"));
}

TEST_F(GgufTest, NarrowMatricesStayNarrowAndVectorsBecomeF32) {
  const Blueprint dials = SmallBlueprint(Family::kQwen2);
  std::vector<std::string> owned;
  std::vector<NamedTensor> tensors;
  for (const TensorSpec& spec : TensorsOf(dials)) {
    TensorView view{.dtype = DType::kBF16, .shape = spec.shape};
    std::string bytes;
    for (int64_t i = 0; i < view.NumElements(); ++i) bytes += std::string("\x80\x3f", 2);  // 1.0
    owned.push_back(bytes);
    tensors.push_back({spec.name, view});
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].tensor.bytes = owned[i];
  const auto folder = temp_.path() / "narrow";
  ASSERT_TRUE(WriteCheckpoint(folder, {.blueprint = dials, .tensors = tensors}).ok());
  const GgufReader read = Export(Checkpoint::Open(folder).value());
  EXPECT_EQ(read.tensors.at("blk.0.ffn_up.weight").type, 30u);  // BF16
  EXPECT_EQ(read.numbers.at("general.file_type"), 32);
  for (const float one : read.Floats("blk.0.attn_q.bias")) EXPECT_EQ(one, 1.0f);
}

TEST_F(GgufTest, TheVocabularyReachesEveryRowOfTheEmbedding) {
  GgufTokenizer tokenizer;
  tokenizer.tokens = {{"a", GgufTokenizer::Type::kNormal}, {"<s>", GgufTokenizer::Type::kControl}};
  tokenizer.merges = {"a a"};
  tokenizer.pre = "qwen2";
  tokenizer.eos = 1;
  const Checkpoint checkpoint = Write(SmallBlueprint(Family::kQwen3));
  const GgufReader read = Export(checkpoint, tokenizer);
  EXPECT_EQ(read.lists.at("tokenizer.ggml.tokens").size(), 32u);
  EXPECT_EQ(read.lists.at("tokenizer.ggml.tokens")[31], "[PAD31]");
  EXPECT_EQ(read.lists.at("tokenizer.ggml.token_type")[1], "3");
  EXPECT_EQ(read.lists.at("tokenizer.ggml.token_type")[31], "5");
  EXPECT_THAT(read.lists.at("tokenizer.ggml.merges"), ElementsAre("a a"));
  EXPECT_EQ(read.texts.at("tokenizer.ggml.pre"), "qwen2");
  EXPECT_EQ(read.numbers.at("tokenizer.ggml.eos_token_id"), 1);
  EXPECT_EQ(read.numbers.count("tokenizer.ggml.bos_token_id"), 0u);

  tokenizer.tokens.resize(33);
  const absl::Status refused = WriteGguf(temp_.path() / "no.gguf", checkpoint, tokenizer, "x");
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_FALSE(std::filesystem::exists(temp_.path() / "no.gguf"));
}

TEST_F(GgufTest, APlainFfnOutsideGpt2IsRefusedByName) {
  Blueprint dials = SmallBlueprint(Family::kQwen3);
  dials.ffn = FfnKind::kPlain;
  const absl::Status refused =
      WriteGguf(temp_.path() / "no.gguf", Write(dials), GgufTokenizer{}, "x");
  EXPECT_TRUE(absl::IsUnimplemented(refused));
  EXPECT_THAT(refused.message(), HasSubstr("qwen3 with a plain FFN"));
}

TEST_F(GgufTest, EightBitWeightsBecomeQ8BlocksNumberByNumber) {
  for (const Family family : {Family::kLlama, Family::kGpt2}) {
    Blueprint dials = SmallBlueprint(family);
    dials.hidden_size = dials.ffn_hidden = 64;
    dials.head_dim = 16;
    const Checkpoint source = Write(dials);
    const auto folder = temp_.path() / "int8";
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(QuantizeCheckpoint(source, folder).ok());
    const Checkpoint checkpoint = Checkpoint::Open(folder).value();
    const GgufReader read = Export(checkpoint);
    EXPECT_EQ(read.numbers.at("general.file_type"), 7);
    const bool llama = family == Family::kLlama;
    const std::string name =
        llama ? "model.layers.1.self_attn.q_proj.weight" : "transformer.h.1.attn.c_attn.weight";
    const auto& tensor = read.tensors.at(llama ? "blk.1.attn_q.weight" : "blk.1.attn_qkv.weight");
    ASSERT_EQ(tensor.type, 8u);
    TensorSpec spec{name, checkpoint.Tensor(name)->shape};
    const MatrixLayout layout = LayoutOf(spec);
    const std::string_view numbers = checkpoint.Tensor(name)->bytes;
    const std::string_view scales = checkpoint.Tensor(ScaleName(name))->bytes;
    const std::string blocks = read.Bytes(tensor, layout.out * layout.in / 32 * 34);
    for (int64_t row = 0; row < layout.out; ++row) {
      // llama.cpp turns neighbouring pairs: row 1 of a head is row 8 of ours.
      const int64_t in_head = row % 16;
      const int64_t ours = llama ? row - in_head + in_head / 2 + (in_head % 2) * 8 : row;
      for (int64_t k = 0; k < layout.in; ++k) {
        const size_t block = static_cast<size_t>((row * layout.in + k) / 32 * 34);
        ASSERT_EQ(blocks.substr(block, 2), scales.substr(2 * layout.ScaleAt(ours, k / 32), 2));
        ASSERT_EQ(blocks[block + 2 + k % 32], numbers[layout.At(ours, k)]) << row << ", " << k;
      }
    }
  }
}

TEST_F(GgufTest, EightBitRowsThatNoBlockFitsAreRefused) {
  const Checkpoint source = Write(SmallBlueprint(Family::kQwen3));  // rows of 16
  ASSERT_TRUE(QuantizeCheckpoint(source, temp_.path() / "int8").ok());
  const Checkpoint checkpoint = Checkpoint::Open(temp_.path() / "int8").value();
  const absl::Status refused = WriteGguf(temp_.path() / "model.gguf", checkpoint, {}, "hamlet@3");
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("blocks of 32"));
  EXPECT_FALSE(std::filesystem::exists(temp_.path() / "model.gguf"));
}

}  // namespace
}  // namespace floe::model
