// Pre-training from files to a checkpoint folder: a rank of a run, or all of it.
#pragma once

#include <filesystem>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "trainer/distributed/rank_place.h"

namespace floe::trainer {

struct PretrainFilesOptions {
  std::string spec;    // a file: trainer/spec/pretrain_spec.h; dataset and tokenizer are names
  std::string corpus;  // a file
  std::string format = "text";
  std::string tokenizer;  // tokenizer.json
  std::string work_dir;   // tokens/, states/, checkpoint/; one folder for all ranks
  int threads = 0;        // of each process; 0: the machine's, shared by the processes on it
};

// Rank 0 tokenizes, tells `out`, saves and exports; place.size 1 with `processes` above 1 in the
// specification starts the others here, as children running the program again, which is `argv`.
// After UNAVAILABLE the process is to end: what the group still does is left to it.
// CANCELLED after a stop, with the state saved; other errors as in trainer/pretrainer.h.
absl::Status PretrainFiles(const PretrainFilesOptions& options, RankPlace place,
                           const std::vector<std::string>& argv, std::ostream& out,
                           std::stop_token stop);

}  // namespace floe::trainer
