// The processes that train one model together: LibTorch's c10d over Gloo and, for tensors of CUDA
// devices, NCCL; found through a TCPStore that rank 0 serves.
//
// When a process of the group ends, the others' connections to it close, so that what they wait for
// fails at once; one that is only silent is given up after `timeout`. A group that has failed stays
// useless: who gets UNAVAILABLE ends, and training starts anew from the last state.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "trainer/distributed/rank_place.h"

namespace at {
class Tensor;
}

namespace floe::trainer {

struct ProcessGroupOptions {
  std::chrono::milliseconds join_timeout = std::chrono::minutes(10);  // until all are there
  std::chrono::milliseconds timeout = std::chrono::minutes(5);        // of one silent process
  bool cuda = false;  // tensors of CUDA devices travel too; wants kHasNccl
};

// Every process makes the same calls in the same order, from one thread.
class ProcessGroup {
 public:
  // Under way until it is called; what it works on must live so long.
  using Pending = std::function<absl::Status()>;

  // Whether this build has NCCL (FLOE_NCCL).
  static const bool kHasNccl;

  // Rank 0 begins to listen; the others connect to it. UNAVAILABLE when it is not there in time;
  // FAILED_PRECONDITION when NCCL is wanted and not there.
  static absl::StatusOr<std::unique_ptr<ProcessGroup>> Open(
      const RankPlace& place, const ProcessGroupOptions& options = {});
  virtual ~ProcessGroup() = default;

  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  uint16_t port() const { return place_.port; }  // where rank 0 listens

  // Waits until all processes have come to train `run`: FAILED_PRECONDITION when this one's is
  // another than rank 0's. `lost` is asked on the way; its error ends the waiting. Before all else.
  virtual absl::Status Join(const std::string& run, const std::function<absl::Status()>& lost) = 0;
  // What each process tells under a name used once, by rank.
  virtual absl::StatusOr<std::vector<std::string>> Exchange(const std::string& name,
                                                            const std::string& mine) = 0;

  // Contiguous tensors of the CPU, or of a CUDA device in groups for it; the sum over all
  // processes, the same bits in each of them.
  virtual Pending Sum(const at::Tensor& tensor) = 0;
  // Rank `from`'s values to all.
  virtual Pending Broadcast(const at::Tensor& tensor, int from) = 0;
  // From one to another, which calls Receive; tensors of the CPU.
  virtual Pending Send(const at::Tensor& tensor, int to) = 0;
  virtual Pending Receive(const at::Tensor& tensor, int from) = 0;

 protected:
  explicit ProcessGroup(const RankPlace& place) : place_(place) {}
  RankPlace place_;
};

}  // namespace floe::trainer
