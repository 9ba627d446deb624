#include "services/runner/run.h"

#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status_macros.h"
#include "services/jobs/client/lease_client.h"
#include "services/runner/lease_loop.h"
#include "services/runner/memory.h"
#include "services/runtime/client.h"

namespace floe::runner {
namespace {

// Of the drain grace: to tell the queue how attempts ended after their executors stopped.
constexpr double kExecutorsShare = 0.8;

struct QueueAddress {
  std::string name;
  std::string address;
};

absl::StatusOr<std::vector<QueueAddress>> ParseQueues(const std::vector<std::string>& queues) {
  std::vector<QueueAddress> parsed;
  for (const std::string& queue : queues) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(queue, absl::MaxSplits('=', 1));
    if (parts.first.empty() || parts.second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("queues has \"", queue, "\"; write name=host:port: trainer=127.0.0.1:7000"));
    }
    parsed.push_back({parts.first, parts.second});
  }
  if (parsed.empty()) {
    return absl::InvalidArgumentError("queues is missing: give --queues name=host:port,...");
  }
  return parsed;
}

absl::Status CheckOptions(const RunnerOptions& options) {
  FLOE_RETURN_IF_ERROR(ParseQueues(options.queues).status());
  if (options.work_dir.empty()) {
    return absl::InvalidArgumentError("work-dir is missing: give a folder for the jobs' files");
  }
  if (options.threads < 0 || options.threads > 1024) {
    return absl::InvalidArgumentError("threads must be 0 (all of the machine's) to 1024");
  }
  if (options.memory_mib < 0) {
    return absl::InvalidArgumentError("memory-mib must be 0 (what there is) or more");
  }
  return absl::OkStatus();
}

std::string RunnerName() {
  char host[256] = "unknown";
  if (::gethostname(host, sizeof(host) - 1) != 0) return absl::StrCat("unknown-", ::getpid());
  return absl::StrCat(host, "-", ::getpid());
}

// One queue: the client, the loop and its thread.
struct Work {
  std::unique_ptr<jobs::LeaseClient> client;
  std::unique_ptr<LeaseLoop> loop;
  std::thread thread;
};

// What outlives a Run() that had to leave threads behind.
struct Shared {
  std::stop_source stop;
  std::stop_source give_up;
  std::mutex mutex;
  std::condition_variable ended;
  size_t running = 0;  // guarded by mutex
  std::vector<Executor*> executors;
  std::vector<Work> work;

  bool WaitForEnd(absl::Duration time) {
    std::unique_lock lock(mutex);
    return ended.wait_for(lock, absl::ToChronoNanoseconds(time), [&] { return running == 0; });
  }
};

int64_t MemoryOf(const RunnerOptions& options) {
  return options.memory_mib > 0 ? options.memory_mib << 20 : MemoryBytes();
}

absl::Status StartLoops(runtime::Host& host, const RunnerOptions& options, Shared& shared) {
  FLOE_ASSIGN_OR_RETURN(const auto queues, ParseQueues(options.queues));
  SessionOptions session = options.session;
  session.cores = ThreadsOf(options);
  for (const QueueAddress& queue : queues) {
    FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(queue.address, options.common.tls,
                                                             options.common.insecure));
    Work work;
    work.client = jobs::MakeLeaseClient(channel, options.call_timeout);
    work.loop =
        std::make_unique<LeaseLoop>(LeaseLoop::Parts{*work.client, shared.executors, host.clock(),
                                                     host.logger(), host.metrics()},
                                    LoopOptions{queue.name, RunnerName(), MemoryOf(options),
                                                options.work_dir, options.wait, session});
    shared.work.push_back(std::move(work));
  }
  shared.running = shared.work.size();
  for (Work& work : shared.work) {
    work.thread = std::thread([&shared, loop = work.loop.get()] {
      loop->Run(shared.stop.get_token(), shared.give_up.get_token());
      std::lock_guard lock(shared.mutex);
      --shared.running;
      shared.ended.notify_all();
    });
  }
  return absl::OkStatus();
}

}  // namespace

void AddOptions(runtime::Config& config, RunnerOptions& options) {
  config.AddCommon(options.common);
  config.Add("queues", options.queues, "Services to take jobs from: name=host:port,...");
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.Add("workers", options.workers, "Addresses of floe-inference workers, for evaluations");
  config.Add("work-dir", options.work_dir, "Folder of the jobs' files");
  config.Add("threads", options.threads, "Threads that compute; 0: all of the machine's");
  config.Add("memory-mib", options.memory_mib,
             "Memory that a job may take here, as the queues are told; 0: what the machine or the "
             "container has");
  config.Add("wait", options.wait, "How long one call for work waits");
  config.Add("call-timeout", options.call_timeout, "Deadline of a heartbeat");
  config.Add("report-interval", options.session.report_interval,
             "How long events wait for company before they are sent");
  config.AddCheck([&options] { return CheckOptions(options); });
}

int ThreadsOf(const RunnerOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::Status Run(runtime::Host& host, const RunnerOptions& options,
                 const std::vector<Executor*>& executors) {
  auto shared = std::make_unique<Shared>();
  shared->executors = executors;
  FLOE_RETURN_IF_ERROR(StartLoops(host, options, *shared));
  const absl::Status served = host.Serve({});
  shared->stop.request_stop();
  const absl::Duration grace = options.common.drain_grace;
  bool ended = shared->WaitForEnd(grace * kExecutorsShare);
  if (!ended) {
    shared->give_up.request_stop();
    ended = shared->WaitForEnd(grace * (1 - kExecutorsShare));
  }
  if (!ended) {
    for (Work& work : shared->work) work.thread.detach();
    shared.release();  // threads that still run use it until the process ends
    return absl::DeadlineExceededError(absl::StrCat(
        "a job did not stop within ", absl::FormatDuration(grace),
        "; its lease will expire and it will go on from its last checkpoint (--drain-grace)"));
  }
  for (Work& work : shared->work) work.thread.join();
  return served;
}

}  // namespace floe::runner
