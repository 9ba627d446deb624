// Matrices copied out of a checkpoint piece by piece, also when its file is cut short meanwhile.
#include "inference/engine/weight_rows.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "inference/engine/cpu_engine.h"
#include "model/quantization.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

namespace fs = std::filesystem;

struct Case {
  model::Family family;
  bool narrow;
};

class WeightRowsTest : public testing::TestWithParam<Case> {
 protected:
  WeightRowsTest() {
    model::Blueprint blueprint = OddBlueprint(GetParam().family);
    blueprint.ffn_hidden = 700;
    blueprint.vocab_size = 1301;
    folder_ = temp_ / "wide";
    WriteFormulaCheckpoint(folder_, blueprint, 0.5f);
    if (!GetParam().narrow) return;
    const model::Checkpoint wide = model::Checkpoint::Open(folder_).value();
    folder_ = temp_ / "narrow";
    EXPECT_TRUE(model::QuantizeCheckpoint(wide, folder_).ok());
  }
  model::Checkpoint Open() const { return model::Checkpoint::Open(folder_).value(); }

  test::TempDir temp_;
  fs::path folder_;
};

WeightSource SourceOf(const model::Checkpoint& checkpoint, const std::string& name,
                      bool transposed) {
  WeightSource source{checkpoint.Tensor(name).value(), std::nullopt, 0, transposed};
  source.out = source.numbers.shape[transposed ? 1 : 0];
  if (source.numbers.dtype == model::DType::kI8) {
    source.scales = checkpoint.Tensor(model::ScaleName(name)).value();
  }
  return source;
}

PackedMatrix Room(int64_t out, int64_t in, bool narrow) {
  return narrow ? PackedMatrix(out, in, StepsTogether::kTwo) : PackedMatrix(out, in);
}

// Pieces end inside tensors, at their borders and in the middle of a panel of two of them.
TEST_P(WeightRowsTest, PiecesMakeTheWholeMatrix) {
  const model::Checkpoint checkpoint = Open();
  const bool gpt2 = GetParam().family == model::Family::kGpt2;
  const std::vector<std::string> names =
      gpt2 ? std::vector<std::string>{"h.1.mlp.c_fc.weight", "h.0.attn.c_attn.weight"}
           : std::vector<std::string>{"model.layers.1.mlp.gate_proj.weight",
                                      "model.layers.0.mlp.up_proj.weight"};
  std::vector<WeightSource> sources;
  std::vector<PackedMatrix::Rows> mapped;
  int64_t out = 0;
  for (const std::string& name : names) {
    sources.push_back(SourceOf(checkpoint, (gpt2 ? "transformer." : "") + name, gpt2));
    const WeightSource& source = sources.back();
    mapped.push_back({source.numbers.bytes.data(), source.out, gpt2, source.numbers.dtype,
                      source.scales ? source.scales->bytes.data() : nullptr});
    out += source.out;
  }
  const int64_t in = sources[0].numbers.shape[gpt2 ? 0 : 1];
  PackedMatrix whole = Room(out, in, GetParam().narrow);
  ASSERT_TRUE(whole.Pack(mapped, 0, 0, whole.num_panels()));
  PackedMatrix pieces = Room(out, in, GetParam().narrow);
  WeightRows copy;
  for (int64_t begin = 0; begin < pieces.num_panels(); begin += 7) {
    const int64_t end = std::min(pieces.num_panels(), begin + 7);
    ASSERT_TRUE(copy.Copy(checkpoint, sources, in, 16 * begin, 16 * end).ok());
    ASSERT_TRUE(pieces.Pack(copy.rows(), 16 * begin, begin, end));
  }
  std::vector<float> expected(static_cast<size_t>(in)), row(expected.size());
  for (int64_t r = 0; r < out; ++r) {
    whole.CopyRow(r, expected.data());
    pieces.CopyRow(r, row.data());
    ASSERT_EQ(row, expected) << r;
  }
}

TEST_P(WeightRowsTest, AFileThatIsCutShortRefusesTheEngineAndAMendedOneServes) {
  const fs::path file = folder_ / "model.safetensors";
  const std::string bytes = ReadFile(file).value();
  for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t{4096}}) {
    const model::Checkpoint checkpoint = Open();
    fs::resize_file(file, size);
    const absl::Status refused = CreateCpuEngine(checkpoint, {.num_threads = 2}).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(refused.message()), testing::HasSubstr(file.string()));
    ASSERT_TRUE(WriteFileAtomically(file, bytes).ok());
  }
  EXPECT_TRUE(CreateCpuEngine(Open(), {.num_threads = 2}).ok());
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, WeightRowsTest,
                         testing::Values(Case{model::Family::kLlama, false},
                                         Case{model::Family::kLlama, true},
                                         Case{model::Family::kGpt2, false},
                                         Case{model::Family::kGpt2, true}),
                         [](const auto& info) {
                           return std::string(model::FamilyName(info.param.family)) +
                                  (info.param.narrow ? "_in_8_bits" : "");
                         });

}  // namespace
}  // namespace floe::inference
