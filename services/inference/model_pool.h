// The checkpoints that this worker has in memory: loaded when first asked for, dropped when idle
// and room is needed.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "inference/ports.h"
#include "model/checkpoint.h"
#include "services/inference/served_model.h"

namespace floe::inference {

struct ModelPoolOptions {
  ServeOptions serve;
  int64_t memory_bytes = int64_t{8} << 30;  // of weights and KV caches together
  // Digests of draft models: a checkpoint is served with the first that may guess for it.
  std::vector<std::string> drafts;
  // Told of a draft model that cannot be read or loaded, or has no room: its target is served
  // without.
  std::function<void(const absl::Status&)> on_lost_draft = [](const absl::Status&) {};
};

// Thread-safe. Borrows `source` and `clock`.
class ModelPool {
 public:
  ModelPool(WeightSource& source, const Clock& clock, const ModelPoolOptions& options)
      : source_(source), clock_(clock), options_(options) {}

  // The model, loaded by the first who asks while others wait; they may give up by `cancelled`,
  // which is asked again when a load has ended or WakeWaiting is called. It stays loaded while the
  // pointer is held (shared: with the pool and other calls). RESOURCE_EXHAUSTED when the memory
  // budget is taken by models in use, the machine gives no more memory or threads, or, with the
  // reason QUEUE_FULL, as many as fill a queue wait for loads; else the errors of fetching and
  // loading.
  absl::StatusOr<std::shared_ptr<ServedModel>> Acquire(std::string_view digest,
                                                       const std::function<bool()>& cancelled);
  // Some `cancelled` may have changed.
  void WakeWaiting();
  std::vector<std::shared_ptr<ServedModel>> Loaded() const;
  // NOT_FOUND when it is not loaded, FAILED_PRECONDITION while somebody holds it.
  absl::Status Unload(const std::string& digest);

  // No new work for any of them.
  void StopAccepting();

 private:
  struct Entry {
    std::shared_ptr<ServedModel> model;  // null while it is being loaded
    int64_t bytes = 0;
    absl::Duration last_used;
  };

  // Until `digest` is no longer being loaded.
  absl::Status AwaitLoad(const std::string& digest, const std::function<bool()>& cancelled,
                         std::unique_lock<std::mutex>& lock);
  bool IsLoading(const std::string& digest) const;  // under the lock
  // What is kept on this machine is fetched anew where its bytes changed.
  absl::StatusOr<std::shared_ptr<ServedModel>> Load(const std::string& digest);
  // DATA_LOSS when the folder's manifest is not that of `digest`.
  static absl::StatusOr<model::Checkpoint> OpenAs(const std::filesystem::path& folder,
                                                  const std::string& digest);
  // Verifies the bytes while they are packed. The model is given to nobody unless `verified` is OK.
  absl::StatusOr<std::shared_ptr<ServedModel>> LoadVerified(const model::Checkpoint& checkpoint,
                                                            absl::Status& verified);
  absl::StatusOr<std::shared_ptr<ServedModel>> LoadOpened(const model::Checkpoint& checkpoint);
  // The first draft model for `target`; none when there is no such one.
  std::optional<model::Checkpoint> DraftFor(const model::Checkpoint& target);
  void TellLostDraft(std::string_view digest, const absl::Status& why);
  // Drops idle models, least recently used first, until `bytes` fit, and claims them for `digest`;
  // none where that would not be enough.
  absl::Status MakeRoom(const std::string& digest, int64_t bytes);

  WeightSource& source_;
  const Clock& clock_;
  const ModelPoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
  int64_t waiting_ = 0;                   // for loads; guarded by mutex_
  bool accepting_ = true;                 // guarded by mutex_
};

}  // namespace floe::inference
