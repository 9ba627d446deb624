#include "services/retrieval/reindex_loop.h"

#include <string>

#include "absl/time/time.h"

#include "base/view.h"

namespace floe::retrieval {
void ReindexLoop::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void ReindexLoop::Wake() {
  const std::lock_guard lock(mutex_);
  awake_ = true;
  changed_.notify_all();
}

void ReindexLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool ReindexLoop::ending() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

void ReindexLoop::WarmAll() {
  const auto names = parts_.tables.Names(/*with_target=*/false);
  if (!names.ok()) return;  // searches make what they need
  for (const CollectionName& name : *names) {
    if (ending()) return;
    const auto collection = parts_.collections.Get(name);
    if (!collection.ok()) continue;
    if (const absl::Status warm = parts_.indexes.Warm(*collection); !warm.ok()) {
      parts_.logger.Warning("index not made",
                            {{"collection", ToString(name)}, {"error", StdView(warm.message())}});
    }
  }
}

void ReindexLoop::Loop() {
  WarmAll();
  while (true) {
    Caller service;
    service.actor = "service";
    service.role = "developer";
    service.request_id = parts_.ids.Next();
    const auto report = parts_.reindex.Run(service, [this]() -> absl::Status {
      return ending() ? absl::CancelledError("the service stops") : absl::OkStatus();
    });
    if (report.ok() && report->promoted + report->failed > 0) {
      parts_.logger.Info("re-indexed",
                         {{"promoted", report->promoted}, {"failed", report->failed}});
    } else if (!report.ok() && !absl::IsCancelled(report.status())) {
      parts_.logger.Warning("re-indexing stopped", {{"error", StdView(report.status().message())}});
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(parts_.interval),
                      [this] { return ending_ || awake_; });
    if (ending_) return;
    awake_ = false;
  }
}

}  // namespace floe::retrieval
