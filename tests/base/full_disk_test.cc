// A disk that is full: the error says so, the old file stays, and nothing half-written is left.
#include <errno.h>
#include <sys/mount.h>

#include <cstring>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/atomic_file.h"
#include "base/files.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"

namespace floe {
namespace {

using ::testing::HasSubstr;

size_t CountIn(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator entries(folder);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// A file system of `kilobytes`, where the test may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(int kilobytes) {
    const std::string options = "size=" + std::to_string(kilobytes) + "k";
    if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) error_ = errno;
  }
  ~SmallDisk() {
    if (error_ == 0) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  int error() const { return error_; }
  std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  test::TempDir folder_;
  int error_ = 0;
};

TEST(FullDisk, AFileThatMayNotGrowLeavesTheOldOne) {
  const test::TempDir folder;
  const auto path = folder.Write("f", "old");
  absl::Status status;
  {
    const test::FileSizeLimit limit(64 * 1024);
    status = WriteFileAtomically(path, std::string(1 << 20, 'x'));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path.string()));
  EXPECT_EQ(*ReadFile(path), "old");
  EXPECT_EQ(CountIn(folder.path()), 1u);
}

TEST(FullDisk, AFullFileSystemLeavesTheOldFileAndItsSpace) {
  const SmallDisk disk(256);
  if (disk.error() != 0) GTEST_SKIP() << "may not mount: " << std::strerror(disk.error());
  ASSERT_TRUE(WriteFileAtomically(disk / "f", std::string(64 << 10, 'o')).ok());
  for (int round = 0; round < 5; ++round) {
    const absl::Status status = WriteFileAtomically(disk / "f", std::string(1 << 20, 'n'));
    ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  EXPECT_EQ(*ReadFile(disk / "f"), std::string(64 << 10, 'o'));
  EXPECT_EQ(CountIn(disk.path()), 1u);
  // Failures left no space taken.
  EXPECT_TRUE(WriteFileAtomically(disk / "g", std::string(64 << 10, 'g')).ok());
}

TEST(FullDisk, AnAppendThatFailsIsReportedAndRemoved) {
  const SmallDisk disk(128);
  if (disk.error() != 0) GTEST_SKIP() << "may not mount: " << std::strerror(disk.error());
  {
    auto file = AtomicFile::Create(disk / "f");
    ASSERT_TRUE(file.ok()) << file.status();
    absl::Status status;
    int appended = 0;
    while (status.ok() && appended < 100) {
      status = file->Append(std::string(16 << 10, 'x'));
      ++appended;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_LE(appended, 9);
  }
  EXPECT_EQ(CountIn(disk.path()), 0u);
}

}  // namespace
}  // namespace floe
