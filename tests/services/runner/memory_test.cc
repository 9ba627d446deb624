#include "services/runner/memory.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace floe::runner {
namespace {

constexpr int64_t kMachine = int64_t{16} << 30;

class MemoryTest : public testing::Test {
 protected:
  MemoryTest() {
    Write("meminfo", "MemTotal:       16777216 kB\nMemFree:         1 kB\n");
    std::filesystem::create_directories(dir_ / "memory");
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(dir_ / name, text).ok());
  }
  int64_t Memory() { return MemoryBytes(dir_ / "meminfo", dir_.path()); }
  test::TempDir dir_;
};

TEST_F(MemoryTest, IsTheMachinesWithoutALimit) {
  EXPECT_EQ(Memory(), kMachine);
  Write("memory.max", "max\n");
  EXPECT_EQ(Memory(), kMachine);
}

TEST_F(MemoryTest, IsTheContainersWhereItIsLess) {
  Write("memory.max", "4294967296\n");
  EXPECT_EQ(Memory(), int64_t{4} << 30);
}

TEST_F(MemoryTest, ReadsTheFirstVersionOfControlGroupsWhoseNoLimitIsHuge) {
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Memory(), kMachine);
  Write("memory/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(Memory(), int64_t{1} << 30);
}

TEST_F(MemoryTest, IsNotKnownWhereNothingTells) {
  Write("meminfo", "MemTotal: many\n");
  EXPECT_EQ(Memory(), 0);
  std::filesystem::remove(dir_ / "meminfo");
  EXPECT_EQ(Memory(), 0);
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

// As after a training job: what is freed lies below something that stays.
TEST(FreeMemoryTest, GoesBackAlsoFromTheMiddleOfTheHeap) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  constexpr int64_t kBytes = int64_t{128} << 20;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(std::make_unique<char[]>(kBytes / 4));  // zeroed, so resident
  }
  const auto stays = std::make_unique<char[]>(1 << 10);
  blocks.clear();
  const int64_t kept = ResidentBytes();
  ASSERT_GT(kept, kBytes);
  GiveBackFreeMemory();
  EXPECT_LT(ResidentBytes(), kept - kBytes * 9 / 10);
}

}  // namespace
}  // namespace floe::runner
