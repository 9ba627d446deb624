#include "services/inference/model_pool.h"

#include <algorithm>
#include <future>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/thrown.h"
#include "base/view.h"
#include "model/checkpoint.h"

namespace floe::inference {
namespace {

// What is wrong with a checkpoint is not the fault of the request that asks for it.
absl::Status CannotServe(const std::string& digest, const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return status;
  return absl::FailedPreconditionError(
      absl::StrCat("checkpoint ", digest, " cannot be served: ", status.message()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::Acquire(
    std::string_view digest, const std::function<bool()>& cancelled) {
  const std::string key(digest);
  std::unique_lock lock(mutex_);
  while (true) {
    if (!accepting_) {
      return WithReason(absl::UnavailableError("the worker is shutting down; ask another one"),
                        "DRAINING");
    }
    const auto found = entries_.find(key);
    if (found == entries_.end()) break;
    if (found->second.model != nullptr) {
      found->second.last_used = clock_.Monotonic();
      return found->second.model;
    }
    FLOE_RETURN_IF_ERROR(AwaitLoad(key, cancelled, lock));
  }
  entries_[key].last_used = clock_.Monotonic();
  lock.unlock();
  auto model = [&]() -> absl::StatusOr<std::shared_ptr<ServedModel>> {
    try {
      return Load(key);
    } catch (...) {
      return StatusOfThrown(absl::StrCat("checkpoint ", key, " cannot be loaded"));
    }
  }();
  lock.lock();
  if (model.ok()) {
    entries_[key].model = *model;
    entries_[key].bytes = (*model)->bytes;  // less than was claimed, without its draft model
    if (!accepting_) (*model)->scheduler->StopAccepting();
  } else {
    entries_.erase(key);
  }
  changed_.notify_all();
  return model;
}

absl::Status ModelPool::AwaitLoad(const std::string& digest, const std::function<bool()>& cancelled,
                                  std::unique_lock<std::mutex>& lock) {
  // Whoever waits holds a thread of the server, and comes to the queue next.
  const int64_t most = options_.serve.scheduler.queue.requests;
  if (waiting_ >= most) {
    return ComeAgain("QUEUE_FULL",
                     absl::StrCat("checkpoint ", digest, " is being loaded and ", most,
                                  " calls wait already; try again later or ask another worker"),
                     absl::Seconds(1));
  }
  ++waiting_;
  while (accepting_ && IsLoading(digest) && !cancelled()) changed_.wait(lock);
  --waiting_;
  if (cancelled()) return absl::CancelledError("the caller left while the model was loading");
  return absl::OkStatus();
}

bool ModelPool::IsLoading(const std::string& digest) const {
  const auto found = entries_.find(digest);
  return found != entries_.end() && found->second.model == nullptr;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::Load(const std::string& digest) {
  if (const auto kept = source_.Kept(digest)) {
    const auto checkpoint = OpenAs(*kept, digest);
    if (checkpoint.ok()) {
      absl::Status verified;
      auto model = LoadVerified(*checkpoint, verified);
      if (verified.ok()) return model;
    }
  }
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path folder, source_.Fetch(digest));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint, OpenAs(folder, digest));
  absl::Status verified;
  auto model = LoadVerified(checkpoint, verified);
  FLOE_RETURN_IF_ERROR(verified);
  return model;
}

absl::StatusOr<model::Checkpoint> ModelPool::OpenAs(const std::filesystem::path& folder,
                                                    const std::string& digest) {
  auto checkpoint = model::Checkpoint::Open(folder, /*verify=*/false);
  if (!checkpoint.ok()) return CannotServe(digest, checkpoint.status());
  if (checkpoint->digest() == digest) return checkpoint;
  return absl::DataLossError(absl::StrCat((folder / model::kManifestFile).string(), " is of ",
                                          checkpoint->digest(), " and not of ", digest,
                                          ": its bytes changed; restore the blob from a backup"));
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::LoadVerified(
    const model::Checkpoint& checkpoint, absl::Status& verified) {
  std::future<absl::Status> verifying =
      std::async(std::launch::async, [&] { return checkpoint.Verify(); });
  auto model = LoadOpened(checkpoint);
  verified = verifying.get();
  // Then what was packed is what was verified, whichever was read first.
  if (verified.ok()) verified = checkpoint.CheckUnchanged();
  return model;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::LoadOpened(
    const model::Checkpoint& checkpoint) {
  const std::string& digest = checkpoint.digest();
  std::optional<model::Checkpoint> draft = DraftFor(checkpoint);
  if (draft) {
    const absl::Status room = MakeRoom(digest, BytesToServe(checkpoint, &*draft, options_.serve));
    if (!room.ok()) {
      TellLostDraft(draft->digest(), room);
      draft.reset();
    }
  }
  if (!draft) {
    FLOE_RETURN_IF_ERROR(MakeRoom(digest, BytesToServe(checkpoint, nullptr, options_.serve)));
  }
  auto model = LoadServedModel(checkpoint, options_.serve, clock_, draft ? &*draft : nullptr);
  if (!model.ok()) return CannotServe(digest, model.status());
  if (!(*model)->lost_draft.ok()) TellLostDraft(draft->digest(), (*model)->lost_draft);
  return model;
}

void ModelPool::TellLostDraft(std::string_view digest, const absl::Status& why) {
  options_.on_lost_draft(absl::Status(
      why.code(), absl::StrCat("draft model ", AbslView(digest), ": ", why.message())));
}

std::optional<model::Checkpoint> ModelPool::DraftFor(const model::Checkpoint& target) {
  for (const std::string& digest : options_.drafts) {
    auto draft = [&]() -> absl::StatusOr<model::Checkpoint> {
      FLOE_ASSIGN_OR_RETURN(const std::filesystem::path folder, source_.Fetch(digest));
      return model::Checkpoint::Open(folder, /*verify=*/false);
    }();
    if (!draft.ok()) {
      TellLostDraft(digest, draft.status());
    } else if (CanGuessFor(target, *draft)) {
      return *std::move(draft);
    }
  }
  return std::nullopt;
}

absl::Status ModelPool::MakeRoom(const std::string& digest, int64_t bytes) {
  // Dropped after the lock: ending a scheduler joins its thread.
  std::vector<std::shared_ptr<ServedModel>> dropped;
  const std::lock_guard lock(mutex_);
  int64_t used = 0;
  std::vector<std::map<std::string, Entry>::iterator> idle;
  int64_t idle_bytes = 0;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->first == digest) continue;
    used += entry->second.bytes;
    // Only the pool holds it, and new holders need the lock.
    if (entry->second.model == nullptr || entry->second.model.use_count() > 1) continue;
    idle.push_back(entry);
    idle_bytes += entry->second.bytes;
  }
  const int64_t in_use = used - idle_bytes;
  if (in_use + bytes > options_.memory_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("checkpoint ", digest, " needs ", bytes >> 20, " MiB with its KV cache; ",
                     in_use >> 20, " of the worker's ", options_.memory_bytes >> 20,
                     " MiB are in use; try later, ask another worker or raise --memory-mib"));
  }
  std::sort(idle.begin(), idle.end(),
            [](const auto& a, const auto& b) { return a->second.last_used < b->second.last_used; });
  for (auto oldest = idle.begin(); used + bytes > options_.memory_bytes; ++oldest) {
    used -= (*oldest)->second.bytes;
    dropped.push_back(std::move((*oldest)->second.model));
    entries_.erase(*oldest);
  }
  entries_[digest].bytes = bytes;
  return absl::OkStatus();
}

absl::Status ModelPool::Unload(const std::string& digest) {
  std::shared_ptr<ServedModel> dropped;  // after the lock: ending a scheduler joins its thread
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat("checkpoint ", digest, " is not loaded here"));
  }
  if (found->second.model == nullptr || found->second.model.use_count() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint ", digest,
                     " is in use or still loading; move its alias, or wait, and try again"));
  }
  dropped = std::move(found->second.model);
  entries_.erase(found);
  return absl::OkStatus();
}

std::vector<std::shared_ptr<ServedModel>> ModelPool::Loaded() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ServedModel>> models;
  for (const auto& [digest, entry] : entries_) {
    if (entry.model != nullptr) models.push_back(entry.model);
  }
  return models;
}

void ModelPool::StopAccepting() {
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  for (const auto& [digest, entry] : entries_) {
    if (entry.model != nullptr) entry.model->scheduler->StopAccepting();
  }
  changed_.notify_all();
}

void ModelPool::WakeWaiting() {
  // Whoever has just asked `cancelled` under the lock waits before this notifies.
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

}  // namespace floe::inference
