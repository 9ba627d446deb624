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
  ended_.reset();
  begun_.reset();  // its callbacks use this object until then
}

absl::Status WorkJournal::Recover() {
  uint64_t position = begun_->stats().taken;
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const auto entries, begun_->ReadAfter(position, kReadBatch));
    if (entries.empty()) break;
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
  written_ = begun_->stats().appended;
  return absl::OkStatus();
}

void WorkJournal::Begin(const std::string& id, std::string record) {
  {
    const std::lock_guard lock(mutex_);
    running_.try_emplace(id);
  }
  begun_->Append(std::move(record),
                 [this, id](const absl::Status& status) { NoteWritten(id, status); });
}

void WorkJournal::End(const std::string& id, std::string record,
                      std::function<void(const absl::Status&)> written) {
  ended_->Append(std::move(record),
                 [this, id, written = std::move(written)](const absl::Status& status) {
                   if (status.ok()) NoteEnded(id);
                   written(status);
                 });
}

void WorkJournal::Drop(const std::string& id) { NoteEnded(id); }

// Records are called back in the order of their positions.
void WorkJournal::NoteWritten(const std::string& id, const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    const auto running = running_.find(id);
    if (!status.ok()) {
      running_.erase(running);
      return;
    }
    ++written_;
    if (running->second.ended) {
      running_.erase(running);
    } else {
      running->second.position = written_;
      positions_.insert(written_);
    }
    if (ended_since_forgotten_ < options_.forget_every) return;
  }
  ForgetEnded();
}

void WorkJournal::NoteEnded(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto running = running_.find(id);
  if (running == running_.end()) return;
  ++ended_since_forgotten_;
  if (running->second.position == 0) {
    running->second.ended = true;
    return;
  }
  positions_.erase(running->second.position);
  running_.erase(running);
}

void WorkJournal::ForgetEnded() {
  uint64_t ended_up_to = 0;
  {
    const std::lock_guard lock(mutex_);
    ended_since_forgotten_ = 0;
    ended_up_to = positions_.empty() ? written_ : *positions_.begin() - 1;
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
