#include "services/usage/work_journal.h"

#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace floe::usage {
namespace {

constexpr size_t kReadBatch = 1000;

}  // namespace

absl::StatusOr<std::unique_ptr<WorkJournal>> WorkJournal::Open(Options options,
                                                               const runtime::Logger& logger) {
  std::unique_ptr<WorkJournal> journal(new WorkJournal(std::move(options), logger));
  FLOE_ASSIGN_OR_RETURN(journal->begun_, Journal::Open({.folder = journal->options_.begun}));
  FLOE_ASSIGN_OR_RETURN(journal->ended_, Journal::Open({.folder = journal->options_.ended}));
  FLOE_RETURN_IF_ERROR(journal->Recover());
  return journal;
}

WorkJournal::~WorkJournal() {
  if (begun_ == nullptr || ended_ == nullptr) return;
  Sync();
  ForgetEnded();
  ended_.reset();  // its callbacks use this object until then
}

absl::Status WorkJournal::Recover() {
  uint64_t position = begun_->stats().taken;
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const auto entries, begun_->ReadAfter(position, kReadBatch));
    if (entries.empty()) return absl::OkStatus();
    absl::Status brought;
    for (const Journal::Entry& entry : entries) {
      // One at a time is called back; Sync() below waits for the last.
      ended_->Append(entry.record, [&brought](const absl::Status& status) {
        if (!status.ok()) brought = status;
      });
    }
    ended_->Sync();
    FLOE_RETURN_IF_ERROR(brought);
    position = entries.back().position;
    FLOE_RETURN_IF_ERROR(begun_->Acknowledge(position));
  }
}

void WorkJournal::Begin(const std::string& id, const std::string& record) {
  absl::Status written;
  {
    // Over both, so that ForgetEnded() sees a position as soon as it is taken.
    const std::lock_guard lock(mutex_);
    const absl::StatusOr<uint64_t> position = begun_->Write(record);
    written = position.status();
    if (position.ok() && running_.emplace(id, *position).second) positions_.insert(*position);
  }
  if (!written.ok()) {
    logger_.Warning("what began is not in its journal", {{"error", written.ToString()}});
  }
}

void WorkJournal::End(const std::string& id, std::string record,
                      std::function<void(const absl::Status&)> written) {
  ended_->Append(std::move(record),
                 [this, id, written = std::move(written)](const absl::Status& status) {
                   if (status.ok() && NoteEnded(id)) ForgetEnded();
                   written(status);
                 });
}

void WorkJournal::Drop(const std::string& id) { NoteEnded(id); }

bool WorkJournal::NoteEnded(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto running = running_.find(id);
  if (running == running_.end()) return false;
  positions_.erase(running->second);
  running_.erase(running);
  return ++ended_since_forgotten_ >= options_.forget_every;
}

void WorkJournal::ForgetEnded() {
  uint64_t ended_up_to = 0;
  {
    const std::lock_guard lock(mutex_);
    ended_since_forgotten_ = 0;
    ended_up_to = positions_.empty() ? begun_->stats().appended : *positions_.begin() - 1;
  }
  const absl::Status done = begun_->Acknowledge(ended_up_to);
  if (!done.ok()) {
    logger_.Warning("the journal of what began keeps more than it must",
                    {{"error", done.ToString()}});
  }
}

void WorkJournal::Sync() {
  begun_->Sync();
  ended_->Sync();
}

}  // namespace floe::usage
