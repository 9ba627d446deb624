#include "services/runner/memory.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace floe::runner
