#include "model/safetensors.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace floe::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Safetensors, ReadsAFileOfTheReferenceImplementation) {
  // save({"b": float32 [[1, 2]], "a": float16 [0.5]}, {"format": "pt"}) of safetensors 0.4.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  std::string file(8, '\0');
  file[0] = static_cast<char>(padded.size());
  file += padded + std::string("\0\0\x80\x3f\0\0\0\x40\0\x38", 10);
  const auto parsed = ParseSafetensors(file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->metadata.at("format"), "pt");
  EXPECT_THAT(parsed->tensors.at("b").shape, ElementsAre(1, 2));
  EXPECT_THAT(parsed->tensors.at("b").ToFloats(), ElementsAre(1.0f, 2.0f));
  EXPECT_THAT(parsed->tensors.at("a").ToFloats(), ElementsAre(0.5f));
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const test::TempDir folder;
  const std::vector<float> weight = {1, -2, 3.5, 1e-30f, 0, 7};
  const std::vector<uint16_t> half = {0x3c00, 0xc000};
  const std::vector<float> scalar = {42};
  ASSERT_TRUE(WriteSafetensors(folder / "m.safetensors",
                               {{"z.weight", {DType::kF32, {2, 3}, BytesOf(weight)}},
                                {"a \"quoted\" \xc3\xa9", {DType::kF16, {2}, BytesOf(half)}},
                                {"empty", {DType::kBF16, {0, 5}, {}}},
                                {"scalar", {DType::kF32, {}, BytesOf(scalar)}}},
                               {{"format", "pt"}})
                  .ok());
  const std::string file = *ReadFile(folder / "m.safetensors");
  EXPECT_EQ(static_cast<unsigned char>(file[0]) % 8, 0) << "the header is padded to 8 bytes";
  const auto parsed = ParseSafetensors(file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->tensors.size(), 4u);
  EXPECT_EQ(parsed->tensors.at("z.weight").ToFloats(), weight);
  EXPECT_EQ(parsed->tensors.at("z.weight").NumElements(), 6);
  EXPECT_THAT(parsed->tensors.at("a \"quoted\" \xc3\xa9").ToFloats(), ElementsAre(1.0f, -2.0f));
  EXPECT_THAT(parsed->tensors.at("empty").ToFloats(), IsEmpty());
  EXPECT_THAT(parsed->tensors.at("scalar").ToFloats(), ElementsAre(42.0f));
  // In the order given, though a reader finds them by name.
  EXPECT_LT(parsed->tensors.at("z.weight").bytes.data(),
            parsed->tensors.at("a \"quoted\" \xc3\xa9").bytes.data());
}

TEST(Safetensors, AFileWithoutTensorsIsAFile) {
  const test::TempDir folder;
  ASSERT_TRUE(WriteSafetensors(folder / "none", {}).ok());
  EXPECT_THAT(ParseSafetensors(*ReadFile(folder / "none"))->tensors, IsEmpty());
}

TEST(Safetensors, AHeaderThatIsCutOffAfterTheFileWasMappedIsDataLoss) {
  const test::TempDir folder;
  const std::vector<float> numbers(4096, 1.5f);
  const std::vector<NamedTensor> tensors = {{"t", {DType::kF32, {4096}, BytesOf(numbers)}}};
  ASSERT_TRUE(WriteSafetensors(folder / "t", tensors).ok());
  for (const int size : {20, 4, 0}) {
    ASSERT_TRUE(WriteSafetensors(folder / "t", tensors).ok());
    const MappedFile mapped = MappedFile::Open(folder / "t").value();
    EXPECT_EQ(ParseSafetensors(mapped)->tensors.at("t").bytes, BytesOf(numbers));
    std::filesystem::resize_file(folder / "t", size);
    EXPECT_EQ(ParseSafetensors(mapped).status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(Safetensors, WritingRefusesWhatNoReaderWouldTake) {
  const test::TempDir folder;
  const std::vector<float> one = {1};
  const auto mistake = [&](std::vector<NamedTensor> tensors) {
    const absl::Status status = WriteSafetensors(folder / "bad", tensors);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(std::filesystem::exists(folder / "bad"));
    return std::string(status.message());
  };
  const TensorView good{DType::kF32, {1}, BytesOf(one)};
  EXPECT_THAT(mistake({{"a", good}, {"a", good}}), HasSubstr("\"a\""));
  EXPECT_THAT(mistake({{"__metadata__", good}}), HasSubstr("reserved"));
  EXPECT_THAT(mistake({{"a", {DType::kF32, {2}, BytesOf(one)}}}), HasSubstr("4 bytes"));
  EXPECT_THAT(mistake({{"a", {DType::kF32, {-1, -1}, BytesOf(one)}}}), HasSubstr("\"a\""));
  EXPECT_THAT(mistake({{"\xff", good}}), HasSubstr("not UTF-8"));
}

TEST(TensorView, WidensHalfPrecision) {
  const std::vector<uint16_t> half = {0x0000, 0x8000, 0x0001, 0x03ff, 0x0400,
                                      0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x3555};
  const std::vector<float> wide = TensorView{DType::kF16, {10}, BytesOf(half)}.ToFloats();
  EXPECT_EQ(wide[0], 0.0f);
  EXPECT_TRUE(wide[1] == 0.0f && std::signbit(wide[1]));
  EXPECT_EQ(wide[2], 0x1p-24f);         // the smallest subnormal
  EXPECT_EQ(wide[3], 1023 * 0x1p-24f);  // the largest subnormal
  EXPECT_EQ(wide[4], 0x1p-14f);         // the smallest normal
  EXPECT_EQ(wide[5], 65504.0f);         // the largest
  EXPECT_EQ(wide[6], std::numeric_limits<float>::infinity());
  EXPECT_EQ(wide[7], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(wide[8]));
  EXPECT_FLOAT_EQ(wide[9], 0.33325195f);
}

TEST(TensorView, WidensBrainFloats) {
  const std::vector<uint16_t> brain = {0x3f80, 0xc020, 0x0001};
  EXPECT_THAT((TensorView{DType::kBF16, {3}, BytesOf(brain)}.ToFloats()),
              ElementsAre(1.0f, -2.5f, 0x1p-133f));
}

}  // namespace
}  // namespace floe::model
