// Files from anyone: each rule of the format broken once, and then at random.
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "model/safetensors.h"

namespace floe::model {
namespace {

using ::testing::HasSubstr;

std::string FileOf(std::string_view header, size_t data_bytes) {
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  file += header;
  return file + std::string(data_bytes, 'x');
}

std::string Mistake(std::string_view file) {
  const auto parsed = ParseSafetensors(file);
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << file.substr(0, 200);
  return std::string(parsed.status().message());
}

std::string MistakeIn(std::string_view header, size_t data_bytes) {
  return Mistake(FileOf(header, data_bytes));
}

// What holds of every file that is taken: its tensors lie inside it, one after the other.
void ExpectSound(const SafetensorsHeader& header, std::string_view file) {
  size_t total = 0;
  for (const auto& [name, view] : header.tensors) {
    ASSERT_GE(view.bytes.data(), file.data());
    ASSERT_LE(view.bytes.data() + view.bytes.size(), file.data() + file.size());
    ASSERT_EQ(view.NumElements() * DTypeBytes(view.dtype), static_cast<int64_t>(view.bytes.size()));
    ASSERT_EQ(view.ToFloats().size(), static_cast<size_t>(view.NumElements()));
    total += view.bytes.size();
  }
  ASSERT_LE(total + 8, file.size());
}

TEST(HostileSafetensors, LengthsThatCannotBe) {
  EXPECT_THAT(Mistake(""), HasSubstr("0 bytes"));
  EXPECT_THAT(Mistake("1234567"), HasSubstr("7 bytes"));
  EXPECT_THAT(Mistake(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)),
              HasSubstr("18446744073709551615 bytes; at most 100000000"));
  // Ten gigabytes of header, said by a file of ten bytes.
  std::string ten_gigabytes(8, '\0');
  const uint64_t length = 10'000'000'000;
  std::memcpy(ten_gigabytes.data(), &length, 8);
  EXPECT_THAT(Mistake(ten_gigabytes + "{}"), HasSubstr("10000000000 bytes; at most"));
  EXPECT_THAT(Mistake(FileOf("{}", 0).substr(0, 9)), HasSubstr("cut off"));
  EXPECT_THAT(Mistake(FileOf("", 4)), HasSubstr("start with {"));
  EXPECT_THAT(MistakeIn(" {}", 0), HasSubstr("start with {"));
}

TEST(HostileSafetensors, HeadersThatAreNoHeader) {
  EXPECT_THAT(MistakeIn("{", 0), HasSubstr("not JSON"));
  EXPECT_THAT(MistakeIn("{}x", 0), HasSubstr("not JSON"));
  EXPECT_THAT(MistakeIn("{\"\xff\":{}}", 0), HasSubstr("not JSON"));
  EXPECT_THAT(MistakeIn(R"({"a":1})", 0), HasSubstr("\"a\" is 1"));
  EXPECT_THAT(MistakeIn(R"({"a":null})", 0), HasSubstr("\"a\" is null"));
  EXPECT_THAT(MistakeIn(R"({"a":[]})", 0), HasSubstr("\"a\" is an array"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"b":1}})", 4),
              HasSubstr("unknown key \"b\""));
}

TEST(HostileSafetensors, MembersThatAreMissingRepeatedOrOfTheWrongKind) {
  EXPECT_THAT(MistakeIn(R"({"a":{}})", 0), HasSubstr("\"a\" has no dtype"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","shape":[1]}})", 0), HasSubstr("no data_offsets"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","dtype":"F16"}})", 0), HasSubstr("dtype twice"));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[1],"shape":[1]}})", 0), HasSubstr("shape twice"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":4}})", 0), HasSubstr("dtype of \"a\" holds 4"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":["F32"]}})", 0), HasSubstr("dtype of \"a\""));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":"2x2"}})", 0), HasSubstr("shape of \"a\""));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":["2"]}})", 0), HasSubstr("shape of \"a\""));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[[2]]}})", 0), HasSubstr("shape of \"a\""));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[-2]}})", 0), HasSubstr("holds -2"));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[1.5]}})", 0), HasSubstr("holds 1.5"));
  EXPECT_THAT(MistakeIn(R"({"a":{"data_offsets":[0]}})", 0), HasSubstr("two numbers"));
  EXPECT_THAT(MistakeIn(R"({"a":{"data_offsets":[0,1,2]}})", 0), HasSubstr("two numbers"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8),
              HasSubstr("dtype of \"a\" is \"I64\""));
  EXPECT_THAT(MistakeIn(R"({"__metadata__":{"a":1}})", 0), HasSubstr("must be a string"));
  EXPECT_THAT(MistakeIn(R"({"__metadata__":{"a":"1","a":"2"}})", 0), HasSubstr("\"a\" twice"));
  EXPECT_THAT(MistakeIn(R"({"__metadata__":{},"__metadata__":{}})", 0), HasSubstr("twice"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                        8),
              HasSubstr("\"a\" twice"));
}

TEST(HostileSafetensors, NumbersThatOverflow) {
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[18446744073709551616]}})", 0),
              HasSubstr("shape of \"a\""));
  EXPECT_THAT(MistakeIn(R"({"a":{"shape":[9223372036854775808]}})", 0), HasSubstr("beyond 2^63"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","shape":[4611686018427387905],)"
                        R"("data_offsets":[0,4]}})",
                        4),
              HasSubstr("shape of \"a\" counts beyond"));
  EXPECT_THAT(MistakeIn(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],)"
                        R"("data_offsets":[0,0]}})",
                        0),
              HasSubstr("counts beyond"));
}

TEST(HostileSafetensors, OffsetsThatLieOutsideOverlapOrLeaveHoles) {
  const auto with_offsets = [](std::string_view offsets, size_t bytes) {
    return MistakeIn(std::string(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)") +
                         std::string(offsets) + "}}",
                     bytes);
  };
  EXPECT_THAT(with_offsets("[0,4]", 0), HasSubstr("end within the 0 bytes"));
  EXPECT_THAT(with_offsets("[4,0]", 4), HasSubstr("must rise"));
  EXPECT_THAT(with_offsets("[0,8]", 8), HasSubstr("span 8 bytes"));
  EXPECT_THAT(with_offsets("[4,8]", 8), HasSubstr("a hole"));
  EXPECT_THAT(with_offsets("[0,4]", 5), HasSubstr("5 bytes of data"));
  const auto pair = [](std::string_view second) {
    return std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)") +
           R"("b":{"dtype":"F32","shape":[1],"data_offsets":)" + std::string(second) + "}}";
  };
  EXPECT_THAT(MistakeIn(pair("[4,8]"), 8), HasSubstr("overlap"));
  EXPECT_THAT(MistakeIn(pair("[12,16]"), 16), HasSubstr("a hole"));
  EXPECT_TRUE(ParseSafetensors(FileOf(pair("[8,12]"), 12)).ok());
}

TEST(HostileSafetensors, DeepNestingCostsNothing) {
  EXPECT_THAT(MistakeIn(std::string(50'000'000, '{'), 0), HasSubstr("not JSON"));
  EXPECT_THAT(MistakeIn(absl::StrCat(R"({"a":)", std::string(50'000'000, '[')), 0),
              HasSubstr("an array"));
}

TEST(HostileSafetensors, LongNamesAreShownShort) {
  const std::string name(1'000'000, 'n');
  EXPECT_LT(MistakeIn("{\"" + name + "\":{}}", 0).size(), 400u);
  EXPECT_THAT(MistakeIn("{\"\\n\\u001b[31m\":{}}", 0), HasSubstr(R"("\n\x1b[31m")"));
}

// Every file cut at every place, and every byte of its header replaced, is refused or sound.
TEST(HostileSafetensors, AnyDamageIsRefusedOrHarmless) {
  const std::string good =
      FileOf(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
             R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]}})",
             14);
  ASSERT_TRUE(ParseSafetensors(good).ok());
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(ParseSafetensors(good.substr(0, length)).ok()) << length;
  }
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet = "{}[]\",:0123456789-eE. abF\\\xff";
  for (int round = 0; round < 100'000; ++round) {
    std::string file = good;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % (good.size() - 14);
      const char c = kAlphabet[random() % kAlphabet.size()];
      switch (random() % 3) {
        case 0:
          file[at] = c;
          break;
        case 1:
          file.insert(at, 1, c);
          break;
        default:
          file.erase(at, 1);
      }
    }
    // Half of the time the length is made right again, so that damage reaches the rules behind it.
    if (random() % 2 == 0 && file.size() > 22) {
      const uint64_t length = file.size() - 22;
      std::memcpy(file.data(), &length, 8);
    }
    if (const auto parsed = ParseSafetensors(file); parsed.ok()) ExpectSound(*parsed, file);
  }
}

}  // namespace
}  // namespace floe::model
