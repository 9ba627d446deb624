// floe-pretrain as real processes: killed anywhere, asked to leave, torn while it saves. However
// often it ends before its time, the weights are in the end those of a run that never did.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "base/files.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_text.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

constexpr int kKilled = 128 + SIGKILL;
constexpr int kSuspended = 75;
constexpr absl::Duration kPatience = absl::Seconds(120);

constexpr char kSpec[] = R"(model: counter
dataset: numbers
tokenizer: sample
blueprint: {hidden_size: 32, num_layers: 2, num_heads: 2, num_kv_heads: 1, ffn_hidden: 64, context: 32}
train:
  steps: 24
  batch_size: BATCH
  learning_rate: 0.01
  warmup_steps: 5
  held_out_fraction: 0.1
  eval_interval: 1
  sample_interval: 8
  checkpoint_interval: 3
  processes: PROCESSES
)";

class PretrainProcessesTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_.Write("corpus.txt", test::AlikeText());
    dir_.Write("tokenizer.json", tokenizer::SampleTokenizer()->ToJson());
    Set({});
  }

  struct Way {  // to compute the run
    int processes = 1;
    int threads = 1;  // of each
    int batch_size = 4;
    auto operator<=>(const Way&) const = default;
  };
  void Set(const Way& way) {
    way_ = way;
    dir_.Write("spec.yaml", absl::StrReplaceAll(kSpec, {{"PROCESSES", absl::StrCat(way.processes)},
                                                        {"BATCH", absl::StrCat(way.batch_size)}}));
  }

  test::ChildProcess Start(const std::string& name, const std::string& kill_at = "",
                           std::vector<std::string> environment = {}) {
    std::filesystem::create_directories(dir_ / name);
    if (!kill_at.empty()) {
      environment.push_back(absl::StrCat("LD_PRELOAD=", FLOE_KILL_AT_CALL));
      environment.push_back(absl::StrCat("KILL_AT=", kill_at));
    }
    auto child = test::ChildProcess::Start(
        {.argv = {FLOE_BIN "/floe-pretrain", "--spec", dir_ / "spec.yaml", "--corpus",
                  dir_ / "corpus.txt", "--tokenizer", dir_ / "tokenizer.json", "--work-dir",
                  dir_ / name, "--threads", absl::StrCat(way_.threads)},
         .environment = environment,
         .output = dir_ / name / "log"});
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Log(const std::string& name) { return ReadFile(dir_ / name / "log").value_or(""); }

  // The digest that a run told at its end.
  std::string Digest(const std::string& name) {
    const std::string log = Log(name);
    const size_t at = log.rfind("checkpoint sha256:");
    return at == std::string::npos ? "" : log.substr(at, 18 + 64);
  }
  std::string Finish(const std::string& name) {
    EXPECT_EQ(Start(name).Wait(kPatience), 0) << Log(name);
    return Digest(name);
  }
  // What the run comes to when it never ends before its time.
  std::string Straight() {
    static std::map<Way, std::string> known;
    std::string& digest = known[way_];
    if (digest.empty()) digest = Finish(absl::StrCat("straight-", known.size()));
    EXPECT_THAT(digest, HasSubstr("sha256:"));
    return digest;
  }
  // The pids of the children of a process.
  static std::vector<pid_t> ChildrenOf(pid_t pid) {
    std::vector<pid_t> children;
    std::ifstream file(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
  }
  // Until the run has told of `text`.
  void WaitForLine(test::ChildProcess& child, const std::string& name, std::string_view text) {
    while (!absl::StrContains(Log(name), absl::string_view(text.data(), text.size()))) {
      ASSERT_EQ(child.Wait(absl::Milliseconds(2)), std::nullopt) << Log(name);
    }
  }

  // Starts again and again, `ending` some time after each start, until a run comes to its end.
  template <class End>
  int EndAtRandomTimes(const std::string& name, uint32_t seed, int times, const End& end) {
    std::mt19937 random(seed);
    int ended = 0;
    for (int i = 0; i < times; ++i) {
      test::ChildProcess child = Start(name);
      // From before the first step to after the last, on most machines.
      if (child.Wait(absl::Milliseconds(20 + random() % 500)) == 0) break;
      end(child);
      ++ended;
    }
    return ended;
  }

  test::TempDir dir_;
  Way way_;
};

TEST_F(PretrainProcessesTest, KilledAtAnyInstantItEndsInTheSameWeights) {
  const std::string straight = Straight();
  EXPECT_GT(EndAtRandomTimes("killed", 7, 5,
                             [](test::ChildProcess& child) {
                               child.Signal(SIGKILL);
                               child.Wait(kPatience);
                             }),
            0);
  EXPECT_EQ(Finish("killed"), straight);
}

// The threads take sequences of their own (4, by two), or share each product (3).
TEST_F(PretrainProcessesTest, TwoThreadsKilledAtAnyInstantEndInTheSameWeights) {
  for (const int batch_size : {4, 3}) {
    Set({.threads = 2, .batch_size = batch_size});
    const std::string straight = Straight();
    const std::string name = absl::StrCat("killed-", batch_size);
    // In the middle of the run and in a state's write, whatever the machine's speed.
    test::ChildProcess child = Start(name);
    WaitForLine(child, name, "step 5/24");
    child.Signal(SIGKILL);
    EXPECT_EQ(child.Wait(kPatience), kKilled);
    EXPECT_EQ(Start(name, "write:20").Wait(kPatience), kKilled) << Log(name);
    EndAtRandomTimes(name, 17, 2, [](test::ChildProcess& running) {
      running.Signal(SIGKILL);
      running.Wait(kPatience);
    });
    EXPECT_EQ(Finish(name), straight);
    EXPECT_THAT(Log(name), HasSubstr("resumed at step"));
  }
}

TEST_F(PretrainProcessesTest, AskedToLeaveAtAnyInstantItSavesAndEndsInTheSameWeights) {
  const std::string straight = Straight();
  test::ChildProcess child = Start("asked");
  WaitForLine(child, "asked", "step 5/24");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(kPatience), kSuspended) << Log("asked");
  EXPECT_THAT(Log("asked"),
              testing::AllOf(HasSubstr("state saved at step"), HasSubstr("stopped at step")));
  EndAtRandomTimes("asked", 11, 2, [](test::ChildProcess& running) {
    running.Signal(SIGTERM);
    running.Wait(kPatience);
  });
  EXPECT_EQ(Finish("asked"), straight);
}

TEST_F(PretrainProcessesTest, KilledWhileItSavesItEndsInTheSameWeights) {
  const std::string straight = Straight();
  // The header, a tensor in the middle, the digest's neighbourhood; each later step of the write.
  for (const std::string at :
       {"write:1", "write:20", "write:95", "fsync:2", "rename:1", "renamed:2"}) {
    test::ChildProcess child = Start("torn", at);
    EXPECT_EQ(child.Wait(kPatience), kKilled) << at << Log("torn");
  }
  EXPECT_EQ(Finish("torn"), straight);
}

TEST_F(PretrainProcessesTest, ATornStateIsPassedOverForTheOneBefore) {
  const std::string straight = Straight();
  EXPECT_EQ(Start("torn", "rename:5").Wait(kPatience), kKilled);
  std::vector<std::filesystem::path> states;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "torn" / "states")) {
    if (entry.path().extension() == ".floe") states.push_back(entry.path());
  }
  ASSERT_EQ(states.size(), 2u);
  std::sort(states.begin(), states.end());
  std::filesystem::resize_file(states.back(), std::filesystem::file_size(states.back()) / 2);
  EXPECT_EQ(Finish("torn"), straight);
  EXPECT_THAT(Log("torn"), testing::AllOf(HasSubstr("is damaged"), HasSubstr("resumed at step 9")));
}

// The state that a rewind saves at once, before it has its name and just after.
TEST_F(PretrainProcessesTest, KilledInTheMiddleOfARewindItEndsInTheSameWeights) {
  dir_.Write("corpus.txt", test::AlikeText() + test::StrangeText());
  dir_.Write("spec.yaml", absl::StrReplaceAll(kSpec, {{"PROCESSES",
                                                       "1\n  max_rewinds: 20\n  spike_factor: 2\n"
                                                       "  optimizer: adamw"},
                                                      {"steps: 24", "steps: 60"},
                                                      {"eval_interval: 1", "eval_interval: 60"},
                                                      {"BATCH", "1"},
                                                      {"interval: 3", "interval: 10"}}));
  const std::string straight = Finish("straight");
  const std::string log = Log("straight");
  const size_t rewind = log.find("(rewind 1 of 20)");
  ASSERT_NE(rewind, std::string::npos) << log;
  int saved = 0;  // before the rewind's own
  for (size_t at = log.find("state saved"); at < rewind; at = log.find("state saved", at + 1)) {
    ++saved;
  }
  // The second start takes up the state behind which training diverges: the rewind's is its first.
  for (const std::string& at : {absl::StrCat("rename:", saved + 1), std::string("renamed:1")}) {
    EXPECT_EQ(Start("killed", at).Wait(kPatience), kKilled) << at << Log("killed");
    EXPECT_THAT(Log("killed"), HasSubstr("(rewind 1 of 20)")) << at;
  }
  EXPECT_EQ(Finish("killed"), straight);
}

// With 2 and 4 processes: one of them is killed, all end with the reason, and the next start goes
// on.
TEST_F(PretrainProcessesTest, OneLostProcessEndsTheRunWhichThenGoesOn) {
  for (const int processes : {2, 4}) {
    Set({.processes = processes});
    const std::string straight = Straight();
    const std::string name = absl::StrCat("lost", processes);
    test::ChildProcess run = Start(name);
    WaitForLine(run, name, "state saved at step 3");
    const std::vector<pid_t> children = ChildrenOf(run.pid());
    ASSERT_EQ(children.size(), static_cast<size_t>(processes - 1)) << Log(name);
    ::kill(children.back(), SIGKILL);
    EXPECT_EQ(run.Wait(kPatience), 1) << Log(name);
    EXPECT_THAT(Log(name), HasSubstr("was killed by signal 9"));
    for (const pid_t child : children) EXPECT_NE(::kill(child, 0), 0) << child << " still runs";
    EXPECT_EQ(Finish(name), straight);
    EXPECT_THAT(Log(name), HasSubstr("resumed at step"));
  }
}

// Whoever of them was asked: all stop behind the same step, and its state is saved.
TEST_F(PretrainProcessesTest, SeveralProcessesAskedToLeaveSaveAndEndInTheSameWeights) {
  Set({.processes = 2});
  const std::string straight = Straight();
  const auto ask = [&](test::ChildProcess& run, bool first, bool second) {
    const std::vector<pid_t> children = ChildrenOf(run.pid());
    if (second) {
      for (const pid_t child : children) ::kill(child, SIGTERM);
    }
    if (first) run.Signal(SIGTERM);
  };
  for (const auto& [first, second] : {std::pair{true, false}, {false, true}, {true, true}}) {
    const std::string name = absl::StrCat("asked-", first, second);
    test::ChildProcess run = Start(name);
    WaitForLine(run, name, "step 2/24");
    const std::vector<pid_t> children = ChildrenOf(run.pid());
    ASSERT_EQ(children.size(), 1u) << Log(name);
    ask(run, first, second);
    EXPECT_EQ(run.Wait(kPatience), kSuspended) << Log(name);
    EXPECT_NE(::kill(children[0], 0), 0) << "rank 1 still runs";
    const std::string log = Log(name);
    const size_t stopped = log.find("stopped at step ");
    ASSERT_NE(stopped, std::string::npos) << log;
    const std::string step = log.substr(stopped + 16, log.find('\n', stopped) - stopped - 16);
    EXPECT_NE(step, "24");
    EXPECT_THAT(log, HasSubstr(absl::StrCat("state saved at step ", step, "\n")));
    EXPECT_EQ(Finish(name), straight);
    EXPECT_THAT(Log(name), HasSubstr(absl::StrCat("resumed at step ", step, "\n")));
  }
  // Also before they have met, and while they save.
  std::mt19937 random(3);
  EndAtRandomTimes("asked", 19, 3, [&](test::ChildProcess& run) {
    const bool second = random() % 2 == 0;
    ask(run, !second, second);
    EXPECT_NE(run.Wait(kPatience), std::nullopt) << Log("asked");
  });
  EXPECT_EQ(Finish("asked"), straight);
}

TEST_F(PretrainProcessesTest, SeveralProcessesKilledAtAnyInstantEndInTheSameWeights) {
  Set({.processes = 2});
  const std::string straight = Straight();
  EXPECT_EQ(Start("killed", "rename:2").Wait(kPatience), kKilled) << Log("killed");
  std::mt19937 random(5);
  EndAtRandomTimes("killed", 13, 3, [&](test::ChildProcess& run) {
    const std::vector<pid_t> children = ChildrenOf(run.pid());
    const bool child = !children.empty() && random() % 2 == 0;
    ::kill(child ? children[0] : run.pid(), SIGKILL);
    EXPECT_NE(run.Wait(kPatience), std::nullopt) << Log("killed");
  });
  EXPECT_EQ(Finish("killed"), straight);
}

TEST_F(PretrainProcessesTest, APlaceThatIsToldInPartIsRefused) {
  test::ChildProcess alone =
      Start("refused", "", {"WORLD_SIZE=2", "JOB_COMPLETION_INDEX=1", "MASTER_ADDR=127.0.0.1"});
  EXPECT_EQ(alone.Wait(kPatience), 1);
  EXPECT_THAT(Log("refused"), HasSubstr("MASTER_PORT is not set"));
}

}  // namespace
}  // namespace floe::trainer
