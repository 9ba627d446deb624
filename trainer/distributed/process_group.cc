#include "trainer/distributed/process_group.h"

#include <poll.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "trainer/internal/c10d.h"

namespace floe::trainer {
namespace {

using std::chrono::milliseconds;

absl::Status Lost(const std::exception& error) {
  return absl::UnavailableError(
      absl::StrCat("another process of this run has gone or is silent (", error.what(),
                   "); start all of them again: they go on from the last saved state"));
}

std::vector<uint8_t> Bytes(const std::string& text) { return {text.begin(), text.end()}; }

class C10dGroup final : public ProcessGroup {
 public:
  C10dGroup(const RankPlace& place, const ProcessGroupOptions& options)
      : ProcessGroup(place), options_(options) {}

  absl::Status Connect() {
    try {
      c10d::TCPStoreOptions store;
      store.port = place_.port;
      store.isServer = place_.rank == 0;
      store.numWorkers = static_cast<size_t>(place_.size);
      store.waitWorkers = false;
      store.timeout = options_.join_timeout;
      store_ = c10::make_intrusive<c10d::TCPStore>(place_.address, store);
      place_.port = store_->getPort();
    } catch (const std::exception& error) {
      return absl::UnavailableError(absl::StrCat("rank ", place_.rank, " of ", place_.size,
                                                 " cannot meet the others at ", place_.address, ":",
                                                 place_.port, ": ", error.what()));
    }
    return absl::OkStatus();
  }

  absl::Status Join(const std::string& run, const std::function<absl::Status()>& lost) override {
    try {
      store_->set(KeyOf(place_.rank), Bytes(run));
      FLOE_RETURN_IF_ERROR(WaitForAll(lost));
      if (store_->get(KeyOf(0)) != Bytes(run)) {
        return absl::FailedPreconditionError(
            absl::StrCat("rank ", place_.rank,
                         " was given another run than rank 0 (blueprint, "
                         "settings, data or number of processes differ)"));
      }
      auto options = c10d::ProcessGroupGloo::Options::create(options_.timeout);
      options->threads = 1;  // beside the thread that trains; in the order of the calls
      const bool local = place_.address == "127.0.0.1" || place_.address == "localhost";
      options->devices.push_back(local
                                     ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                     : c10d::ProcessGroupGloo::createDefaultDevice());
      group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, place_.rank, place_.size,
                                                           std::move(options));
#ifdef FLOE_NCCL
      if (options_.cuda) {
        auto nccl = c10d::ProcessGroupNCCL::Options::create();
        nccl->timeout = options_.timeout;
        nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(
            c10::make_intrusive<c10d::PrefixStore>("nccl", store_), place_.rank, place_.size,
            std::move(nccl));
      }
#endif
    } catch (const std::exception& error) {
      return Lost(error);
    }
    return absl::OkStatus();
  }

  Pending Sum(const at::Tensor& tensor) override {
    return Begin(
        [](auto& group, std::vector<at::Tensor>& tensors) { return group.allreduce(tensors); },
        tensor);
  }

  Pending Broadcast(const at::Tensor& tensor, int from) override {
    c10d::BroadcastOptions options;
    options.rootRank = from;
    return Begin(
        [&](auto& group, std::vector<at::Tensor>& tensors) {
          return group.broadcast(tensors, options);
        },
        tensor);
  }

  Pending Send(const at::Tensor& tensor, int to) override {
    return Begin(
        [&](auto& group, std::vector<at::Tensor>& tensors) { return group.send(tensors, to, 0); },
        tensor);
  }

  Pending Receive(const at::Tensor& tensor, int from) override {
    return Begin(
        [&](auto& group, std::vector<at::Tensor>& tensors) { return group.recv(tensors, from, 0); },
        tensor);
  }

  absl::StatusOr<std::vector<std::string>> Exchange(const std::string& name,
                                                    const std::string& mine) override {
    std::vector<std::string> told;
    try {
      const auto key = [&](int rank) { return absl::StrCat("told/", name, "/", rank); };
      store_->set(key(place_.rank), Bytes(mine));
      for (int rank = 0; rank < place_.size; ++rank) {
        const std::vector<uint8_t> bytes = store_->get(key(rank));
        told.emplace_back(bytes.begin(), bytes.end());
      }
    } catch (const std::exception& error) {
      return Lost(error);
    }
    return told;
  }

 private:
  static std::string KeyOf(int rank) { return absl::StrCat("run/", rank); }

  template <class Start>
  Pending Begin(const Start& start, const at::Tensor& tensor) {
    try {
      std::vector<at::Tensor> tensors = {tensor};
#ifdef FLOE_NCCL
      auto work = tensor.is_cuda() ? start(*nccl_, tensors) : start(*group_, tensors);
#else
      auto work = start(*group_, tensors);
#endif
      return [work, tensor] {
        try {
          work->wait();
        } catch (const std::exception& error) {
          return Lost(error);
        }
        return absl::OkStatus();
      };
    } catch (const std::exception& error) {
      return [status = Lost(error)] { return status; };
    }
  }

  // Asks rather than waits: a lost process is to be heard of on the way, and a wait of the store
  // that runs out leaves its late answer to be taken for that to the next question.
  absl::Status WaitForAll(const std::function<absl::Status()>& lost) {
    constexpr milliseconds kPause(10);
    milliseconds left = options_.join_timeout;
    for (int rank = 0; rank < place_.size;) {
      if (lost) FLOE_RETURN_IF_ERROR(lost());
      if (store_->check({KeyOf(rank)})) {
        ++rank;
        continue;
      }
      if (left <= milliseconds::zero()) {
        return absl::UnavailableError(absl::StrCat("rank ", rank, " of ", place_.size,
                                                   " did not come within ",
                                                   options_.join_timeout.count() / 1000, " s"));
      }
      ::poll(nullptr, 0, static_cast<int>(kPause.count()));
      left -= kPause;
    }
    return absl::OkStatus();
  }

  const ProcessGroupOptions options_;
  c10::intrusive_ptr<c10d::TCPStore> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
#ifdef FLOE_NCCL
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;  // null in groups for the CPU
#endif
};

}  // namespace

#ifdef FLOE_NCCL
const bool ProcessGroup::kHasNccl = true;
#else
const bool ProcessGroup::kHasNccl = false;
#endif

absl::StatusOr<std::unique_ptr<ProcessGroup>> ProcessGroup::Open(
    const RankPlace& place, const ProcessGroupOptions& options) {
  if (options.cuda && !kHasNccl) {
    return absl::FailedPreconditionError(
        "a group of processes for CUDA devices wants NCCL: build with -DFLOE_NCCL=ON");
  }
  auto group = std::make_unique<C10dGroup>(place, options);
  FLOE_RETURN_IF_ERROR(group->Connect());
  return group;
}

}  // namespace floe::trainer
