// Several ranks, each on a thread of its own with its own group, model and optimizer: what they
// compute does not ask whether they are processes. Those are in pretrain_processes_test.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/trainer/pretrainer_fixture.h"
#include "trainer/distributed/process_group.h"

namespace floe::trainer {

class DistributedTest : public PretrainerTest {
 protected:
  struct Result {
    absl::Status status;
    std::string digest;
    Recorder recorder;
  };

  void SetUp() override {
    PretrainerTest::SetUp();
    TrainSettings& settings = options_.settings;
    settings.steps = 8;
    settings.batch_size = 8;
    settings.sequence_length = 16;
    settings.gradient_accumulation = 1;
    settings.warmup_steps = 2;
    settings.checkpoint_interval = 4;
  }

  // One rank from rendezvous to export; rank 0 leaves after `steps` when they are given.
  void RunRank(ProcessGroup* group, const std::string& name, std::optional<int64_t> stop_at,
               Result& result) {
    PretrainOptions options = options_;
    options.state_folder = folder_ / name / "states";
    options.group = group;
    const int rank = group == nullptr ? 0 : group->rank();
    const auto pretrainer = Pretrainer::Create(options, *tokenizer_, clock_).value();
    std::stop_source stop;
    result.recorder.on_progress = [&](const TrainProgress& progress) {
      if (stop_at && progress.step == *stop_at) stop.request_stop();
      if (on_step_) on_step_(progress.step);
    };
    result.status = pretrainer->Run(result.recorder, stop.get_token()).status();
    if (!result.status.ok()) return;
    result.digest =
        pretrainer->Export(folder_ / name / absl::StrCat("checkpoint-", rank), {}, {}).value();
  }

  // All ranks of a run; what each came to.
  std::vector<Result> Run(int ranks, const std::string& name,
                          std::optional<int64_t> stop_at = std::nullopt) {
    std::vector<Result> results(static_cast<size_t>(ranks));
    if (ranks == 1) {
      RunRank(nullptr, name, stop_at, results[0]);
      return results;
    }
    RankPlace place{.rank = 0, .size = ranks};
    std::vector<std::unique_ptr<ProcessGroup>> groups;
    for (place.rank = 0; place.rank < ranks; ++place.rank) {
      groups.push_back(ProcessGroup::Open(place).value());
      place.port = groups[0]->port();
    }
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        ProcessGroup& group = *groups[static_cast<size_t>(rank)];
        Result& result = results[static_cast<size_t>(rank)];
        result.status = group.Join(name, nullptr);
        if (result.status.ok()) RunRank(&group, name, stop_at, result);
      });
    }
    threads.clear();
    return results;
  }

  std::function<void(int64_t step)> on_step_;  // called by rank 0, before it saves the step's state
};

}  // namespace floe::trainer
