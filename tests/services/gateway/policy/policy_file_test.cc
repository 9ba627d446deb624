// A policy file that changes under a running gateway.
#include "services/gateway/policy/policy_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"

#include "tests/support/temp_dir.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;

class PolicyFileTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<PolicyFile>> Load(absl::Duration poll = absl::Hours(1)) {
    return PolicyFile::Load({.path = dir_ / "policy.yaml", .poll = poll}, {logger_, metrics_});
  }
  // Long enough to believe what is there.
  static void Look(PolicyFile& file) {
    file.Poll();
    file.Poll();
  }
  int LogLinesWith(std::string_view text) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](const auto& line) {
      return line.find(text) != std::string::npos;
    }));
  }

  test::TempDir dir_;
  std::mutex mutex_;
  std::vector<std::string> lines_;  // guarded by mutex_
  runtime::Logger logger_{"gateway", runtime::LogLevel::kInfo, [this](std::string_view line) {
                            const std::lock_guard lock(mutex_);
                            lines_.emplace_back(line);
                          }};
  runtime::Metrics metrics_;
};

TEST_F(PolicyFileTest, ABadFileKeepsAGatewayFromStarting) {
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kNotFound);
  dir_.Write("policy.yaml", "defaults:\n  modles: [hamlet]\n");
  const auto bad = Load();
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("policy.yaml"));
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("line 2"));
}

TEST_F(PolicyFileTest, AChangedFileHoldsFromThenOn) {
  dir_.Write("policy.yaml", "version: one");
  const auto file = Load().value();
  const auto before = file->Current();
  EXPECT_EQ(before->version(), "one");
  Look(*file);
  EXPECT_EQ(file->Current(), before);
  dir_.Write("policy.yaml", "version: two");
  Look(*file);
  EXPECT_EQ(file->Current()->version(), "two");
  EXPECT_EQ(before->version(), "one") << "whoever holds the old one keeps it";
}

TEST_F(PolicyFileTest, AFileWithAnErrorChangesNothingAndSaysSoOnce) {
  dir_.Write("policy.yaml", "version: one");
  const auto file = Load().value();
  EXPECT_THAT(metrics_.Exposition(), HasSubstr("floe_gateway_policy_error 0"));
  dir_.Write("policy.yaml",
             "version: two\ndefaults: {input: [{pattern: '(', name: a, action: block}]}");
  for (int i = 0; i < 3; ++i) Look(*file);
  EXPECT_EQ(file->Current()->version(), "one");
  EXPECT_THAT(std::string(file->error().message()), HasSubstr("missing )"));
  EXPECT_THAT(metrics_.Exposition(), HasSubstr("floe_gateway_policy_error 1"));
  EXPECT_EQ(LogLinesWith("the old policy stays"), 1);
  std::filesystem::remove(dir_ / "policy.yaml");
  Look(*file);
  EXPECT_EQ(file->Current()->version(), "one");
  EXPECT_EQ(LogLinesWith("the old policy stays"), 2);
  dir_.Write("policy.yaml", "version: three");
  Look(*file);
  EXPECT_EQ(file->Current()->version(), "three");
  EXPECT_TRUE(file->error().ok());
  EXPECT_THAT(metrics_.Exposition(), HasSubstr("floe_gateway_policy_error 0"));
}

TEST_F(PolicyFileTest, AFileThatIsStillBeingWrittenIsNotBelieved) {
  dir_.Write("policy.yaml", "version: one");
  const auto file = Load().value();
  for (const char* half : {"", "version: tw", "version: two\ndefaults: {}"}) {
    dir_.Write("policy.yaml", half);
    file->Poll();
    EXPECT_EQ(file->Current()->version(), "one");
    EXPECT_TRUE(file->error().ok());
  }
  file->Poll();
  EXPECT_EQ(file->Current()->version(), "two");
  dir_.Write("policy.yaml", " \n");
  Look(*file);
  EXPECT_EQ(file->Current()->version(), "two");
  EXPECT_THAT(std::string(file->error().message()), HasSubstr("is empty"));
}

TEST_F(PolicyFileTest, TheOldFileComingBackEndsTheError) {
  dir_.Write("policy.yaml", "version: one");
  const auto file = Load().value();
  dir_.Write("policy.yaml", "version: [");
  Look(*file);
  EXPECT_FALSE(file->error().ok());
  dir_.Write("policy.yaml", "version: one");
  Look(*file);
  EXPECT_TRUE(file->error().ok());
  EXPECT_THAT(metrics_.Exposition(), HasSubstr("floe_gateway_policy_error 0"));
}

TEST_F(PolicyFileTest, TheFileIsLookedAtByItself) {
  dir_.Write("policy.yaml", "version: one");
  const auto file = Load(absl::Milliseconds(10)).value();
  dir_.Write("policy.yaml", "version: two");
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (file->Current()->version() != "two" && absl::Now() < give_up) std::this_thread::yield();
  EXPECT_EQ(file->Current()->version(), "two");
}

TEST_F(PolicyFileTest, WithoutAFileEverythingIsAllowed) {
  const auto file = PolicyFile::Load({}, {logger_, metrics_}).value();
  EXPECT_TRUE(file->Current()->For("anyone").AllowsModel("any"));
}

}  // namespace
}  // namespace floe::gateway
