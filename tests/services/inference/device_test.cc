// Which engine a worker takes, by its options and by what there is.
#include "services/inference/device.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/kv_cache.h"
#include "model/quantization.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

const absl::Status kNone = absl::FailedPreconditionError("no such device");

TEST(Device, AutoIsCudaWhereThereIsOne) {
  EXPECT_FALSE(ChooseDevice("cpu", "f32", absl::OkStatus())->cuda);
  EXPECT_TRUE(ChooseDevice("auto", "f32", absl::OkStatus())->cuda);
  EXPECT_FALSE(ChooseDevice("auto", "bf16", kNone)->cuda);
  EXPECT_TRUE(ChooseDevice("cuda", "f32", absl::OkStatus())->cuda);
  EXPECT_EQ(ChooseDevice("cuda", "bf16", absl::OkStatus())->dtype, AtenDType::kBf16);
  EXPECT_EQ(ChooseDevice("auto", "f16", absl::OkStatus())->dtype, AtenDType::kF16);
}

TEST(Device, WhatIsNotToBeHadIsRefusedAndNeverReplaced) {
  EXPECT_EQ(ChooseDevice("cuda", "f32", kNone).status(), kNone);
  for (const auto& [device, dtype] : {std::pair{"tpu", "f32"}, {"cuda", "int4"}, {"cpu", "bf16"}}) {
    EXPECT_EQ(ChooseDevice(device, dtype, absl::OkStatus()).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Device, WithoutCudaTheReasonSaysWhatToDo) {
  if (CudaStatus().ok()) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_THAT(std::string(CudaStatus().message()),
              AnyOf(HasSubstr("-DFLOE_ATEN_ENGINE=ON"), HasSubstr("no CUDA device")));
  const model::Checkpoint checkpoint = FormulaCheckpoint(TinyBlueprint(model::Family::kQwen3));
  EXPECT_EQ(MakeEngine(checkpoint, {}, {.cuda = true}).status(), CudaStatus());
  EXPECT_TRUE(MakeEngine(checkpoint, {}, {}).ok());
}

// 8-bit weights are widened on a CUDA device, and stay narrow on the processor.
TEST(Device, MemoryIsCountedAsTheEngineKeepsIt) {
  const test::TempDir folder;
  const model::Blueprint blueprint = TinyBlueprint(model::Family::kQwen3);
  WriteFormulaCheckpoint(folder / "wide", blueprint, 0.5f);
  const model::Checkpoint wide = model::Checkpoint::Open(folder / "wide").value();
  ASSERT_TRUE(model::QuantizeCheckpoint(wide, folder / "narrow").ok());
  const model::Checkpoint narrow = model::Checkpoint::Open(folder / "narrow").value();
  const DeviceOptions half{.cuda = true, .dtype = AtenDType::kBf16};
  EXPECT_LT(WeightBytes(narrow, {}), WeightBytes(wide, {}) / 3);
  EXPECT_EQ(WeightBytes(narrow, {.cuda = true}), WeightBytes(wide, {}));
  EXPECT_EQ(WeightBytes(narrow, half), WeightBytes(wide, {}) / 2);
  const CpuEngineOptions whole{.kv_type = KvType::kF32};
  EXPECT_EQ(KvBlockBytes(wide, {}, {}), KvBlockBytes(blueprint, KvType::kF32));
  EXPECT_EQ(KvBlockBytes(narrow, {}, {}), KvBlockBytes(blueprint, KvType::kF32) / 2);
  EXPECT_EQ(KvBlockBytes(narrow, whole, {}), KvBlockBytes(blueprint, KvType::kF32));
  EXPECT_EQ(KvBlockBytes(wide, {}, half), KvBlockBytes(blueprint, KvType::kF32) / 2);
}

TEST(Device, KeysAndValuesAreOfTheTypeThatIsAskedFor) {
  EXPECT_EQ(*ParseKvType("auto"), std::nullopt);
  EXPECT_EQ(*ParseKvType("f32"), KvType::kF32);
  EXPECT_EQ(*ParseKvType("f16"), KvType::kF16);
  EXPECT_THAT(std::string(ParseKvType("int4").status().message()), HasSubstr("int4"));
}

}  // namespace
}  // namespace floe::inference
