// Data-parallel steps: gradients summed over processes while backward still runs, and each
// process's share of the optimizer (ZeRO stage 1, Rajbhandari et al., arXiv:1910.02054).
//
// Every process has all weights and the whole gradient. It keeps the optimizer's state of whole
// parameters that it owns, updates those, and sends them to the others.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "trainer/distributed/process_group.h"
#include "trainer/internal/transformer.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// Who owns each of the parameters of `sizes` elements: the largest first, each to who has least so
// far. Pure, the same in every process.
std::vector<int> OwnersBySize(std::span<const int64_t> sizes, int ranks);

// Borrows the group and the parameters, whose gradients it hears of while it lives. One thread
// drives it; hooks run on the thread that runs backward.
class DataParallel {
 public:
  // Without a group (nullptr) there is one process, and nothing is sent.
  DataParallel(ProcessGroup* group, std::vector<Parameter>& parameters,
               int64_t bucket_elements = int64_t{1} << 20);
  ~DataParallel();

  int rank() const { return group_ == nullptr ? 0 : group_->rank(); }
  int size() const { return group_ == nullptr ? 1 : group_->size(); }

  // The parameters that this process updates; they share their tensors with the transformer's.
  std::vector<Parameter>& owned() { return owned_; }

  // Between BeginBackward and FinishBackward the step's last backward runs: buckets of gradients
  // that are complete are summed meanwhile, in one order everywhere. Afterwards every gradient is
  // the sum over all processes.
  void BeginBackward();
  absl::Status FinishBackward();

  // The owners' weights to all; drops what gradients are left. After the optimizer's step.
  absl::Status ShareWeights();

  // Rank 0's values to all, and the sum of all's values; in place. Nothing alone.
  absl::Status Broadcast(std::span<double> values, int from = 0);
  absl::Status Sum(std::span<double> values);

  // Adds the other processes' tensors behind rank 0's own, which get their room in `buffers`. All
  // call it, with tensors of the same names and sizes each time.
  absl::Status GatherToRankZero(std::vector<StateTensor>& tensors,
                                std::vector<std::vector<float>>& buffers);

 private:
  struct Bucket;
  class Hook;
  struct Listener;

  void OnGradient(size_t parameter);
  void Launch(Bucket& bucket);

  ProcessGroup* const group_;
  std::vector<Parameter>& parameters_;
  std::vector<int> owners_;
  std::vector<Parameter> owned_;
  std::vector<std::unique_ptr<Bucket>> buckets_;  // in the order in which backward fills them
  std::vector<size_t> bucket_of_;                 // by parameter
  size_t next_ = 0;                               // bucket to be launched
  bool listening_ = false;
  std::vector<Listener> listeners_;
  std::vector<std::string> inventories_;  // names and sizes of the tensors to gather, by rank
};

}  // namespace floe::trainer
