#include "trainer/pretrainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tests/trainer/pretrainer_fixture.h"
#include "tests/trainer/recorder.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/compute.h"
#include "trainer/state_store.h"
#include "trainer/token_file.h"
#include "trainer/tokenize_corpus.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(PretrainerTest, TrainsReportsAndExports) {
  Recorder recorder;
  const auto pretrainer = Make("a");
  const auto outcome = pretrainer->Run(recorder, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->steps, 20);
  EXPECT_EQ(outcome->tokens, 20 * 2 * 4 * 32);
  ASSERT_EQ(recorder.reports.size(), 20u);
  EXPECT_NEAR(recorder.reports.front().loss, std::log(403.0), 0.1);
  EXPECT_LT(recorder.reports.back().loss, recorder.reports.front().loss - 1);
  EXPECT_LT(*recorder.reports.back().held_out_loss, *recorder.reports.front().held_out_loss - 1);
  EXPECT_EQ(outcome->held_out_loss, *recorder.reports.back().held_out_loss);
  EXPECT_GT(recorder.reports.back().tokens_per_second, 0);
  EXPECT_GT(recorder.reports.back().gflops, 0);
  EXPECT_GT(recorder.reports.back().metrics.at("gemm_peak_share"), 0);
  for (const auto& report : recorder.reports) {
    EXPECT_LE(report.metrics.at("gemm_peak_share"), 1) << "of the most that was seen";
  }
  EXPECT_GT(recorder.reports.back().metrics.at("grad_norm"), 0);
  EXPECT_GT(recorder.reports.back().metrics.at("peak_memory_bytes"), 1 << 20);
  EXPECT_EQ(recorder.reports.back().metrics.at("tokens"), static_cast<double>(outcome->tokens));
  EXPECT_EQ(recorder.reports.back().metrics.at("held_out_step"), recorder.reports.back().step);
  EXPECT_EQ(recorder.reports.back().remaining, absl::ZeroDuration());
  EXPECT_THAT(recorder.samples,
              ElementsAre(HasSubstr("before: Number 7"), HasSubstr("after: Number 7")));
  Export(*pretrainer, "a");
}

// How often it is asked is no part of the run: states are taken up with another interval, too.
TEST_F(PretrainerTest, SamplesComeOnTheWayAndChangeNothing) {
  const auto samples = [](int64_t steps, int64_t interval) {
    std::vector<std::string> expected = {"before: "};
    for (int64_t step = interval; interval > 0 && step < steps; step += interval) {
      expected.push_back(absl::StrCat("step ", step, ": "));
    }
    expected.emplace_back("after: ");
    return expected;
  };
  options_.settings.eval_interval = 8;
  std::string exported;
  for (const auto& [interval, seen] :
       std::vector<std::pair<std::optional<int64_t>, int64_t>>{{std::nullopt, 8}, {5, 5}, {0, 0}}) {
    const std::string name = absl::StrCat("every-", seen);
    options_.settings.sample_interval = interval;
    Recorder recorder;
    const auto pretrainer = Make(name);
    ASSERT_TRUE(pretrainer->Run(recorder, {}).ok());
    const std::vector<std::string> expected = samples(20, seen);
    ASSERT_EQ(recorder.samples.size(), expected.size()) << name;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_THAT(recorder.samples[i], testing::StartsWith(expected[i] + "Number 7"));
    }
    const std::string bytes = Export(*pretrainer, name);
    if (exported.empty()) exported = bytes;
    EXPECT_EQ(bytes, exported) << name;
  }
  options_.settings.sample_interval = 1;
  Recorder first, second;
  EXPECT_EQ(RunUntil(8, "changed", first).code(), absl::StatusCode::kCancelled);
  options_.settings.sample_interval = 7;
  const auto resumed = Make("changed");
  ASSERT_TRUE(resumed->Run(second, {}).ok());
  EXPECT_THAT(second.samples,
              ElementsAre(testing::StartsWith("step 14: "), testing::StartsWith("after: ")));
  EXPECT_EQ(Export(*resumed, "changed"), exported);
}

TEST_F(PretrainerTest, StopsWhenTheLossIsNoNumber) {
  ASSERT_EQ(
      [&] {
        Recorder recorder;
        return RunUntil(6, "a", recorder).code();
      }(),
      absl::StatusCode::kCancelled);
  // A weight becomes NaN, as after a step that was far too long.
  const StateStore store = StateStore::Open(folder_ / "a/states").value();
  const StateFile state = StateFile::Open(store.PathOf(6)).value();
  std::vector<std::vector<float>> values;
  std::vector<StateTensor> tensors;
  const auto pretrainer = Make("a");
  const std::string header = ReadFile(store.PathOf(6)).value();
  for (size_t at = header.find("[\"m/"); at != std::string::npos; at = header.find("[\"", at + 1)) {
    const size_t name_end = header.find('"', at + 2), size_end = header.find(']', name_end);
    const std::string name = header.substr(at + 2, name_end - at - 2);
    if (name.empty() || size_end == std::string::npos || name[1] != '/') break;
    values.emplace_back(std::stoul(header.substr(name_end + 2, size_end - name_end - 2)));
    ASSERT_TRUE(state.Read(name, values.back()).ok()) << name;
    if (name == "p/model.norm.weight") {
      values.back()[3] = std::numeric_limits<float>::quiet_NaN();
    }
    tensors.push_back({name, {}});
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].values = values[i];
  ASSERT_TRUE(WriteStateFile(store.PathOf(6), state.position(), tensors).ok());

  Recorder recorder;
  const absl::Status diverged = pretrainer->Run(recorder, {}).status();
  EXPECT_EQ(diverged.code(), absl::StatusCode::kFailedPrecondition) << diverged;
  EXPECT_THAT(diverged.message(), HasSubstr("the loss is no finite number at step 7"));
  EXPECT_THAT(diverged.message(), HasSubstr("lower learning_rate"));
  EXPECT_THAT(store.Steps(), ElementsAre(5, 6));  // nothing of it was saved
}

TEST_F(PretrainerTest, ADivergingRunStopsItself) {
  options_.settings.learning_rate = 10;
  options_.settings.min_learning_rate = 10;
  options_.settings.grad_clip = 0;
  options_.settings.weight_decay = 10;  // each step multiplies weights by 1 - 100
  options_.settings.steps = 200;
  Recorder recorder;
  const absl::Status diverged = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(diverged.code(), absl::StatusCode::kFailedPrecondition) << diverged;
  EXPECT_THAT(diverged.message(), HasSubstr("training diverged: the loss"));
}

// Clipped and with normed activations nothing becomes infinite: weights explode all the same.
TEST_F(PretrainerTest, ALearningRateThatExplodesStopsTheRunWhileTheLossIsStillANumber) {
  options_.settings.learning_rate = 10;
  options_.settings.min_learning_rate = 10;
  options_.settings.warmup_steps = 0;
  options_.settings.steps = 200;
  Recorder recorder;
  const absl::Status diverged = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(diverged.code(), absl::StatusCode::kFailedPrecondition) << diverged;
  EXPECT_THAT(diverged.message(), HasSubstr("of guessing without any knowledge at step"));
  EXPECT_THAT(diverged.message(), HasSubstr("(learning rate 10); lower learning_rate"));
}

TEST_F(PretrainerTest, AFullDiskKeepsTheLastGoodStateAndTrainingGoesOn) {
  Recorder recorder;
  std::optional<test::FileSizeLimit> full;
  recorder.on_progress = [&](const TrainProgress& progress) {
    if (progress.step == 6) full.emplace(20'000);
    if (progress.step == 16) full.reset();
  };
  const auto pretrainer = Make("a");
  const auto outcome = pretrainer->Run(recorder, {});
  full.reset();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(
      recorder.lines,
      ElementsAre("state saved at step 5", HasSubstr("no state saved at step 10: cannot write"),
                  HasSubstr("no state saved at step 15: cannot write"), "state saved at step 20"));
  EXPECT_THAT(StateStore::Open(folder_ / "a/states")->Steps(), ElementsAre(5, 20));
}

TEST_F(PretrainerTest, AFullDiskWhileExportingLeavesNothingHalfWritten) {
  Recorder recorder;
  const auto pretrainer = Make("a");
  ASSERT_TRUE(pretrainer->Run(recorder, {}).ok());
  {
    const test::FileSizeLimit full(20'000);
    EXPECT_EQ(pretrainer->Export(folder_ / "a/checkpoint", {}, {}).status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a/checkpoint"));
  Export(*pretrainer, "a");
}

TEST_F(PretrainerTest, RefusesWhatCannotBeTrained) {
  const auto refusal = [&] { return Pretrainer::Create(options_, *tokenizer_, clock_).status(); };
  options_.state_folder = folder_ / "b";
  options_.blueprint.vocab_size = 300;
  EXPECT_THAT(refusal().message(), HasSubstr("vocabulary of 403"));
  EXPECT_THAT(refusal().message(), HasSubstr("vocab_size is 300: raise vocab_size"));
  options_.blueprint = TinyBlueprint();
  options_.blueprint.num_kv_heads = 3;
  EXPECT_EQ(refusal().code(), absl::StatusCode::kInvalidArgument);
  options_.blueprint = TinyBlueprint();
  options_.train_tokens = folder_ / "nowhere";
  EXPECT_EQ(refusal().code(), absl::StatusCode::kNotFound);
}

TEST_F(PretrainerTest, RefusesHeldOutTokensOfALargerVocabulary) {
  auto writer = TokenFileWriter::Create(folder_ / "other.tokens", 5000).value();
  ASSERT_TRUE(writer.Append(std::vector<int32_t>(100, 4999)).ok());
  ASSERT_TRUE(writer.Finish().ok());
  options_.held_out_tokens = folder_ / "other.tokens";
  options_.state_folder = folder_ / "b";
  const absl::Status refused = Pretrainer::Create(options_, *tokenizer_, clock_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), HasSubstr("vocabulary of 5000"));
}

TEST_F(PretrainerTest, ATextShorterThanTheContextIsRefusedWithWhatItNeeds) {
  auto writer = TokenFileWriter::Create(folder_ / "short.tokens", 403).value();
  ASSERT_TRUE(writer.Append(std::vector<int32_t>(32, 7)).ok());
  ASSERT_TRUE(writer.Finish().ok());
  options_.train_tokens = folder_ / "short.tokens";
  Recorder recorder;
  const absl::Status refused = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("has 32 tokens; sequence_length 32 needs at least 33"));
  EXPECT_TRUE(recorder.reports.empty());
}

TEST(ComputeTest, TheReferenceBlasIsRefusedAndOpenBlasIsNot) {
  const absl::Status refused =
      JudgeBlas({"/bin/floe-runner", "/lib/x86_64-linux-gnu/libblas.so.3"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("apt-get install libopenblas0-openmp"));
  EXPECT_TRUE(
      JudgeBlas({"/lib/x86_64-linux-gnu/libblas.so.3", "/lib/x86_64-linux-gnu/libopenblas.so.0"})
          .ok());
  EXPECT_TRUE(JudgeBlas({"/opt/libtorch/lib/libtorch_cpu.so"}).ok());
  EXPECT_THAT(LoadedLibraries(), Contains(HasSubstr("libtorch_cpu")));
}

TEST(ComputeTest, HugePagesAreAskedForUnlessSomebodyChose) {
  EXPECT_EQ(WithHugePages(""), "glibc.malloc.hugetlb=1");
  EXPECT_EQ(WithHugePages("glibc.malloc.check=3"), "glibc.malloc.check=3:glibc.malloc.hugetlb=1");
  EXPECT_EQ(WithHugePages("glibc.malloc.hugetlb=0"), "");
}

TEST(ComputeTest, Bf16WantsAProcessorThatHasIt) {
  const std::string x86 = "model name\t: Fast CPU\nflags\t\t: fpu avx2";
  for (const char* unit : {" avx512_bf16 x", " amx_bf16"}) {
    EXPECT_TRUE(JudgeBf16(x86 + unit + "\n").ok()) << unit;
  }
  EXPECT_TRUE(JudgeBf16("Features\t: fp asimd bf16\n").ok());
  const absl::Status refused = JudgeBf16(x86 + " avx512_bf16ish\nbugs\t: amx_bf16\n");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(),
              testing::AllOf(HasSubstr("avx512_bf16"), HasSubstr("Fast CPU has none")));
}

TEST(ComputeTest, ADeviceIsNamedByItsProcessorAndThreads) {
  EXPECT_EQ(ProcessorName("processor\t: 0\nmodel name\t: Fast(R) CPU @ 2: GHz\nmodel name : b\n"),
            "Fast(R) CPU @ 2: GHz");
  EXPECT_EQ(ProcessorName("CPU implementer : 0x41\nmodel name :\n"), "unknown processor");
  EXPECT_THAT(DeviceName(DeviceKind::kCpu, 2),
              testing::AllOf(testing::StartsWith("cpu: "), testing::EndsWith(", 2 threads")));
}

TEST(ComputeTest, ACudaDeviceIsNamedAsItsDriverDoes) {
  EXPECT_EQ(GpuName("Model: \t\t Tesla T4\nIRQ:   \t\t 33\nGPU UUID: \t GPU-1\n"), "Tesla T4");
  EXPECT_EQ(GpuName(""), "unknown device");
}

TEST(ComputeTest, CudaIsRefusedWithWhatToDo) {
  EXPECT_THAT(JudgeCuda({}, 1).message(), HasSubstr("-DCMAKE_PREFIX_PATH="));
  EXPECT_THAT(JudgeCuda({.libtorch = true, .nccl = true}, 1).message(), HasSubstr("nvidia-smi"));
  EXPECT_TRUE(JudgeCuda({.libtorch = true, .devices = 1}, 1).ok());
  const absl::Status alone = JudgeCuda({.libtorch = true, .devices = 1}, 4);
  EXPECT_EQ(alone.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(alone.message(),
              testing::AllOf(HasSubstr("4 processes"), HasSubstr("-DFLOE_NCCL=ON")));
  EXPECT_TRUE(JudgeCuda({.libtorch = true, .devices = 2, .nccl = true}, 4).ok());
}

// Never the processor in its stead.
TEST_F(PretrainerTest, ADeviceThatIsNotThereIsRefused) {
  if (JudgeDeviceOfThisMachine(DeviceKind::kCuda, 1).ok()) {
    GTEST_SKIP() << "this machine has a CUDA device, so none is missing";
  }
  options_.settings.device = DeviceKind::kCuda;
  options_.state_folder = folder_ / "cuda";
  const absl::Status refused = Pretrainer::Create(options_, *tokenizer_, clock_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("device: cuda"));
}

TEST(ComputeTest, ThreadsAreSetByTheProgram) {
  EXPECT_EQ(ConfigureCompute(0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ConfigureCompute(1).ok());
  EXPECT_GT(MeasureGemmGflops(), 0);
}

}  // namespace
}  // namespace floe::trainer
