// The supervisor with shell scripts for services: restarts, order, what a kill leaves behind.
#include "cli/fleet/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/fleet_files.h"

#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace floe::cli {
namespace {

// Looks again and again, without sleeping longer than it must; false after half a minute.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > until) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() { EXPECT_TRUE(MakeFolders(layout_).ok()); }
  ~SupervisorTest() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  SupervisedProcess Script(const std::string& name, const std::string& script) {
    ProcessSpec spec{.name = name, .argv = {"/bin/sh", "-c", script}, .stop_grace_seconds = 20};
    return {.spec = [spec]() -> absl::StatusOr<ProcessSpec> { return spec; }, .name = name};
  }
  // Runs until it is killed; leaves `name` in the file `stopped` when it ends by SIGTERM, for which
  // it is prepared once there is a file of its name.
  SupervisedProcess Service(const std::string& name) {
    return Script(name, absl::StrCat("trap 'echo ", name, " >> ", (dir_ / "stopped").string(),
                                     "; exit 0' TERM; : > ", (dir_ / name).string(),
                                     "; while :; do sleep 0.02; done"));
  }

  // In a process of its own: the supervisor owns its process's signals.
  void Start(std::vector<SupervisedProcess> processes) {
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      Supervisor supervisor(layout_, std::move(processes));
      ::_exit(supervisor.Run().ok() ? 0 : 9);
    }
  }
  int Stop() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  ProcessState Of(const std::string& name) {
    const auto state = ReadFleetState(layout_);
    if (state.ok()) {
      for (const ProcessState& process : state->processes) {
        if (process.name == name) return process;
      }
    }
    return {};
  }
  bool Running(const std::string& name) {
    return Of(name).phase == ProcessPhase::kRunning && IsAlive(Of(name).process);
  }

  test::TempDir dir_;
  const Layout layout_{dir_ / "f"};
  pid_t pid_ = 0;
};

TEST_F(SupervisorTest, StopsInReverseOrder) {
  Start({Service("first"), Service("second"), Service("third")});
  for (const char* name : {"first", "second", "third"}) {
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(dir_ / name); })) << name;
  }
  EXPECT_EQ(LivingSupervisor(layout_), pid_);
  EXPECT_EQ(Stop(), 0);
  EXPECT_EQ(*ReadFile(dir_ / "stopped"), "third\nsecond\nfirst\n");
  EXPECT_EQ(Of("first").phase, ProcessPhase::kStopped);
  EXPECT_FALSE(LivingSupervisor(layout_).has_value());
}

TEST_F(SupervisorTest, WhatIsKilledIsStartedAgain) {
  Start({Service("service")});
  ASSERT_TRUE(Eventually([&] { return Running("service"); }));
  const ProcessIdentity before = Of("service").process;
  ::kill(before.pid, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Running("service") && Of("service").process != before; }));
  EXPECT_EQ(Of("service").restarts, 1);
  EXPECT_EQ(Of("service").last_exit, "killed by SIGKILL");
  EXPECT_EQ(Stop(), 0);
}

TEST_F(SupervisorTest, WhatKeepsDyingIsStartedLessAndLessOften) {
  Start({Script("dying", "exit 3")});
  ASSERT_TRUE(Eventually([&] { return Of("dying").restarts >= 2; }));
  EXPECT_EQ(Of("dying").last_exit, "exit 3");
  const std::string log = *ReadFile(layout_.run() / "state.json");
  EXPECT_FALSE(log.empty());
  // SIGHUP does not wait for the delay.
  const int before = Of("dying").restarts;
  ASSERT_TRUE(Eventually([&] { return Of("dying").phase == ProcessPhase::kBackingOff; }));
  ::kill(pid_, SIGHUP);
  ASSERT_TRUE(Eventually([&] { return Of("dying").restarts > before; }));
  EXPECT_EQ(Stop(), 0);
}

TEST_F(SupervisorTest, OthersWaitForOneThatIsNotReady) {
  SupervisedProcess first = Service("first");
  const std::filesystem::path ready = dir_ / "ready";
  first.ready = [ready](pid_t) { return std::filesystem::exists(ready); };
  Start({first, Service("second")});
  ASSERT_TRUE(Eventually([&] { return Running("first"); }));
  EXPECT_EQ(Of("second").phase, ProcessPhase::kWaiting);
  dir_.Write("ready", "");
  EXPECT_TRUE(Eventually([&] { return Running("second"); }));
  EXPECT_EQ(Stop(), 0);
}

TEST_F(SupervisorTest, NothingOutlivesASupervisorThatIsKilled) {
  Start({Service("service")});
  ASSERT_TRUE(Eventually([&] { return Running("service"); }));
  const ProcessIdentity service = Of("service").process;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
  EXPECT_FALSE(LivingSupervisor(layout_).has_value());
  EXPECT_TRUE(Eventually([&] { return !IsAlive(service); }));
  // The file still names it; `floe down` clears up and kills no one.
  const auto report = FleetDown(layout_, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->was_running);
  EXPECT_TRUE(report->killed.empty());
  EXPECT_FALSE(std::filesystem::exists(layout_.state_file()));
}

TEST_F(SupervisorTest, DownEndsALeftoverThatIsStillTheSameProcess) {
  const auto pid = Spawn({.argv = {"/bin/sh", "-c", "while :; do sleep 0.02; done"}});
  ASSERT_TRUE(pid.ok());
  FleetState state;
  state.processes.push_back({.name = "registry",
                             .phase = ProcessPhase::kRunning,
                             .process = *IdentityOf(*pid),
                             .since = absl::Now()});
  // This test, under a start time that it does not have: a pid that was given out again.
  ProcessIdentity reused = *IdentityOf(::getpid());
  ++reused.start_ticks;
  state.processes.push_back({.name = "gateway",
                             .phase = ProcessPhase::kRunning,
                             .process = reused,
                             .since = absl::Now()});
  ASSERT_TRUE(WriteFileAtomically(layout_.state_file(), state.ToJson()).ok());
  const auto report = FleetDown(layout_, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->killed, testing::ElementsAre("registry"));
  int status = 0;
  EXPECT_EQ(::waitpid(*pid, &status, WNOHANG), *pid);
}

TEST_F(SupervisorTest, ASecondSupervisorGivesWay) {
  Start({Service("service")});
  ASSERT_TRUE(Eventually([&] { return Running("service"); }));
  const pid_t first = pid_;
  Start({Service("service")});
  int status = 0;
  ASSERT_EQ(::waitpid(pid_, &status, 0), pid_);
  EXPECT_EQ(WEXITSTATUS(status), 9);
  pid_ = first;
  EXPECT_EQ(LivingSupervisor(layout_), first);
  EXPECT_EQ(Stop(), 0);
}

}  // namespace
}  // namespace floe::cli
