#include "base/files.h"

#include <errno.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/sha256.h"
#include "tests/support/temp_dir.h"

namespace floe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> NamesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(ReadFile, GivesTheWholeFile) {
  const test::TempDir folder;
  const std::string bytes("a\0b\n", 4);
  EXPECT_EQ(*ReadFile(folder.Write("f", bytes)), bytes);
  EXPECT_EQ(*ReadFile(folder.Write("empty", "")), "");
}

TEST(ReadFile, NamesWhatItCannotRead) {
  const test::TempDir folder;
  const auto missing = ReadFile(folder / "missing");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr((folder / "missing").string()));
  EXPECT_FALSE(ReadFile(folder.path()).ok()) << "a folder is no file";
}

TEST(ReadFile, RefusesMoreThanItsLimit) {
  const test::TempDir folder;
  const auto path = folder.Write("f", std::string(100, 'x'));
  EXPECT_EQ(ReadFile(path, 100)->size(), 100u);
  EXPECT_EQ(ReadFile(path, 99).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(WriteFileAtomically, ReplacesTheOldBytesAndLeavesNothingElse) {
  const test::TempDir folder;
  folder.Write("f", "a much longer old text");
  ASSERT_TRUE(WriteFileAtomically(folder / "f", "new").ok());
  EXPECT_EQ(*ReadFile(folder / "f"), "new");
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("f"));
}

TEST(WriteFileAtomically, WithoutAFolderItIsNotFound) {
  const test::TempDir folder;
  EXPECT_EQ(WriteFileAtomically(folder / "no/such", "x").code(), absl::StatusCode::kNotFound);
}

TEST(WriteFileAtomically, AFailureLeavesWhatWasThere) {
  const test::TempDir folder;
  folder.Write("f/inside", "kept");  // a folder of that name: the rename must fail
  EXPECT_FALSE(WriteFileAtomically(folder / "f", "x").ok());
  EXPECT_EQ(*ReadFile(folder / "f/inside"), "kept");
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("f"));
}

TEST(WriteFileAtomically, AReaderSeesOldBytesOrNewNeverAMixture) {
  const test::TempDir folder;
  const auto path = folder.Write("f", std::string(200'000, 'a'));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) {
      const size_t size = i % 2 == 0 ? 100'000 : 200'000;
      EXPECT_TRUE(WriteFileAtomically(path, std::string(size, i % 2 == 0 ? 'b' : 'a')).ok());
    }
    done = true;
  });
  while (!done) {
    const auto bytes = ReadFile(path);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const bool is_old = *bytes == std::string(200'000, 'a');
    EXPECT_TRUE(is_old || *bytes == std::string(100'000, 'b')) << bytes->size();
  }
  writer.join();
}

TEST(ErrnoStatus, SaysWhatFailedAndWhy) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "cannot write x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EACCES, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(EEXIST, "x").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrnoStatus(EIO, "x").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrnoStatus(ENOENT, "cannot open x").message(),
            "cannot open x: No such file or directory");
}

TEST(MappedFile, GivesTheBytesWhileItLives) {
  const test::TempDir folder;
  auto mapped = MappedFile::Open(folder.Write("f", "mapped"));
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  std::filesystem::remove(folder / "f");  // the mapping outlives the name
  const MappedFile moved = *std::move(mapped);
  EXPECT_EQ(moved.bytes(), "mapped");
}

TEST(MappedFile, WhatWasCutShortIsAnErrorToRead) {
  const test::TempDir folder;
  const auto path = folder.Write("weights", std::string(100'000, 'a') + std::string(50'000, 'b'));
  const MappedFile mapped = MappedFile::Open(path).value();
  std::string copy(30'000, 'x');
  ASSERT_TRUE(mapped.Read(mapped.bytes().substr(90'000, 30'000), copy.data()).ok());
  EXPECT_EQ(copy, std::string(10'000, 'a') + std::string(20'000, 'b'));
  std::filesystem::resize_file(path, 100'001);
  EXPECT_TRUE(mapped.Read(mapped.bytes().substr(80'000, 20'001), copy.data()).ok());
  const absl::Status cut = mapped.Read(mapped.bytes().substr(90'000, 30'000), copy.data());
  EXPECT_EQ(cut.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(cut.message()),
              testing::AllOf(testing::HasSubstr(path.string()), testing::HasSubstr("150000 bytes"),
                             testing::HasSubstr("100001")));
}

TEST(MappedFile, TellsItsDigestUnlessItIsCutShortMeanwhile) {
  const test::TempDir folder;
  const std::string bytes(3 << 20, 'a');
  const auto path = folder.Write("weights", bytes + "b");
  const MappedFile mapped = MappedFile::Open(path).value();
  EXPECT_EQ(mapped.Digest().value(), Sha256::Hex(bytes + "b"));
  EXPECT_EQ(MappedFile::Open(folder.Write("none", ""))->Digest().value(), Sha256::Hex(""));
  std::filesystem::resize_file(path, 2 << 20);
  EXPECT_EQ(mapped.Digest().status().code(), absl::StatusCode::kDataLoss);
}

TEST(MappedFile, TellsThatItWasWrittenToAlsoWhenItsBytesAreTheSameAgain) {
  const test::TempDir folder;
  const auto path = folder.Write("weights", "right");
  // Long ago, as clocks of files may stand still for some milliseconds.
  const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(path, before);
  const MappedFile mapped = MappedFile::Open(path).value();
  EXPECT_TRUE(mapped.CheckUnchanged().ok());
  std::filesystem::rename(folder.Write("other", "wrong"), path);
  const std::string digest = mapped.Digest().value();
  EXPECT_EQ(digest, Sha256::Hex("right")) << "another file has its name now";
  EXPECT_TRUE(mapped.CheckUnchanged().ok()) << "and nobody wrote to this one";

  const MappedFile other = MappedFile::Open(path).value();
  std::filesystem::last_write_time(path, before);
  EXPECT_EQ(other.CheckUnchanged().code(), absl::StatusCode::kUnavailable);
  const MappedFile third = MappedFile::Open(path).value();
  folder.Write("weights", "right");
  folder.Write("weights", "wrong");
  EXPECT_EQ(third.Digest().value(), Sha256::Hex("wrong"));
  EXPECT_EQ(third.CheckUnchanged().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(third.CheckUnchanged().message()), testing::HasSubstr(path.string()));
}

TEST(MappedFile, AnEmptyFileIsEmptyAndAFolderIsRefused) {
  const test::TempDir folder;
  EXPECT_EQ(MappedFile::Open(folder.Write("f", ""))->bytes(), "");
  EXPECT_EQ(MappedFile::Open(folder.path()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(folder / "none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace floe
