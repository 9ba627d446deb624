#include "services/inference/model_pool.h"

#include <chrono>
#include <future>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
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
    if (cancelled()) return absl::CancelledError("the caller left while the model was loading");
    changed_.wait_for(lock, std::chrono::milliseconds(50));
  }
  entries_[key].last_used = clock_.Monotonic();
  lock.unlock();
  auto model = Load(key);
  lock.lock();
  if (model.ok()) {
    entries_[key].model = *model;
    if (!accepting_) (*model)->scheduler->StopAccepting();
  } else {
    entries_.erase(key);
  }
  changed_.notify_all();
  return model;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::Load(const std::string& digest) {
  if (const auto kept = source_.Kept(digest)) {
    std::future<absl::Status> verified =
        std::async(std::launch::async, [&] { return source_.Verify(digest); });
    auto model = LoadFrom(*kept, digest);
    if (verified.get().ok()) return model;
  }
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path folder, source_.Fetch(digest));
  return LoadFrom(folder, digest);
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelPool::LoadFrom(
    const std::filesystem::path& folder, const std::string& digest) {
  const absl::StatusOr<model::Checkpoint> checkpoint =
      model::Checkpoint::Open(folder, /*verify=*/false);
  if (!checkpoint.ok()) return CannotServe(digest, checkpoint.status());
  const std::optional<model::Checkpoint> found = DraftFor(*checkpoint);
  const model::Checkpoint* draft = found ? &*found : nullptr;
  FLOE_RETURN_IF_ERROR(MakeRoom(digest, BytesToServe(*checkpoint, draft, options_.serve)));
  auto model = LoadServedModel(folder, options_.serve, clock_, draft);
  if (!model.ok()) return CannotServe(digest, model.status());
  return model;
}

std::optional<model::Checkpoint> ModelPool::DraftFor(const model::Checkpoint& target) {
  for (const std::string& digest : options_.drafts) {
    auto draft = [&]() -> absl::StatusOr<model::Checkpoint> {
      FLOE_ASSIGN_OR_RETURN(const std::filesystem::path folder, source_.Fetch(digest));
      return model::Checkpoint::Open(folder, /*verify=*/false);
    }();
    if (!draft.ok()) {
      options_.on_lost_draft(
          absl::Status(draft.status().code(),
                       absl::StrCat("draft model ", digest, ": ", draft.status().message())));
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
  while (true) {
    int64_t used = 0;
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != digest) used += entry->second.bytes;
      // Only the pool holds it, and new holders need the lock.
      const bool idle = entry->second.model != nullptr && entry->second.model.use_count() == 1;
      if (idle &&
          (oldest == entries_.end() || entry->second.last_used < oldest->second.last_used)) {
        oldest = entry;
      }
    }
    if (used + bytes <= options_.memory_bytes) break;
    if (oldest == entries_.end()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("checkpoint ", digest, " needs ", bytes >> 20, " MiB with its KV cache; ",
                       used >> 20, " of the worker's ", options_.memory_bytes >> 20,
                       " MiB are in use; try later, ask another worker or raise --memory-mib"));
    }
    dropped.push_back(std::move(oldest->second.model));
    entries_.erase(oldest);
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
}

}  // namespace floe::inference
