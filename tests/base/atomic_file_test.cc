#include "base/atomic_file.h"

#include <sys/stat.h>

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace floe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> NamesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(AtomicFile, IsNotThereUntilItIsCommitted) {
  const test::TempDir folder;
  auto file = AtomicFile::Create(folder / "part");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("one ").ok());
  ASSERT_TRUE(file->Append("two").ok());
  ASSERT_TRUE(file->Sync(0644).ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "whole"));
  ASSERT_TRUE(file->Commit(folder / "whole").ok());
  EXPECT_EQ(*ReadFile(folder / "whole"), "one two");
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("whole"));
  struct stat info;
  ASSERT_EQ(::stat((folder / "whole").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST(AtomicFile, WhatIsNotCommittedGoes) {
  const test::TempDir folder;
  {
    auto file = AtomicFile::Create(folder / "part");
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Append("x").ok());
    const AtomicFile moved = *std::move(file);
    EXPECT_EQ(NamesIn(folder.path()).size(), 1u);
  }
  EXPECT_THAT(NamesIn(folder.path()), IsEmpty());
}

TEST(AtomicFile, CommittingAgainChangesNothing) {
  const test::TempDir folder;
  auto file = AtomicFile::Create(folder / "part");
  ASSERT_TRUE(file.ok() && file->Append("x").ok() && file->Sync().ok());
  ASSERT_TRUE(file->Commit(folder / "f").ok());
  EXPECT_TRUE(file->Commit(folder / "f").ok());
  EXPECT_EQ(*ReadFile(folder / "f"), "x");
}

TEST(AtomicFile, AFolderThatIsNotThereIsNotFound) {
  const test::TempDir folder;
  EXPECT_EQ(AtomicFile::Create(folder / "no/part").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace floe
