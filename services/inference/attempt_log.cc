#include "services/inference/attempt_log.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "base/status_macros.h"
#include "services/usage/billing_senders.h"
#include "services/usage/lasting_name.h"

namespace floe::inference {
namespace {

namespace pb = billing::v1;

// Acknowledging writes a file; the journal of what began may lag behind by so many records.
constexpr int kForgetEvery = 64;
constexpr size_t kReadBatch = 1000;

google::protobuf::Timestamp ToProto(absl::Time time) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}

}  // namespace

// Where the record of a beginning stands; guarded by the log's mutex.
struct AttemptLog::Begun {
  uint64_t position = 0;  // 0: not written yet
  bool ended = false;
};

absl::StatusOr<std::unique_ptr<AttemptLog>> AttemptLog::Open(
    const std::filesystem::path& folder, const std::shared_ptr<grpc::Channel>& billing,
    const Parts& parts) {
  std::unique_ptr<AttemptLog> log(new AttemptLog(parts));
  FLOE_RETURN_IF_ERROR(log->Open(folder, billing));
  return log;
}

absl::Status AttemptLog::Open(const std::filesystem::path& folder,
                              const std::shared_ptr<grpc::Channel>& billing) {
  FLOE_ASSIGN_OR_RETURN(begun_, Journal::Open({.folder = folder / "begun"}));
  FLOE_ASSIGN_OR_RETURN(ended_, Journal::Open({.folder = folder / "ended"}));
  FLOE_ASSIGN_OR_RETURN(name_, usage::LastingName(folder, "worker", parts_.ids));
  FLOE_RETURN_IF_ERROR(ReportUnknown());
  written_ = begun_->stats().appended;
  if (billing == nullptr) return absl::OkStatus();
  usage::JournalDelivery::Options options;
  options.metric = "floe_inference_attempt";
  options.rejected_folder = folder / "rejected";
  FLOE_ASSIGN_OR_RETURN(delivery_,
                        usage::JournalDelivery::Start(options, usage::SendAttempts(billing),
                                                      {*ended_, parts_.logger, parts_.metrics}));
  return absl::OkStatus();
}

AttemptLog::~AttemptLog() {
  delivery_.reset();
  Sync();
  ended_.reset();
  begun_.reset();  // its callbacks use this object until then
}

absl::Status AttemptLog::ReportUnknown() {
  uint64_t position = begun_->stats().taken;
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const auto entries, begun_->ReadAfter(position, kReadBatch));
    if (entries.empty()) return absl::OkStatus();
    // One that did end is before it in the journal, and billing keeps the first of an attempt.
    for (const Journal::Entry& entry : entries) {
      FLOE_RETURN_IF_ERROR(ended_->AppendAndWait(entry.record));
    }
    position = entries.back().position;
    FLOE_RETURN_IF_ERROR(begun_->Acknowledge(position));
  }
}

void AttemptLog::Sync() {
  begun_->Sync();
  ended_->Sync();
}

bool AttemptLog::Flush(absl::Duration timeout) {
  return delivery_ == nullptr || delivery_->Flush(timeout);
}

void AttemptLog::NoteWritten(Begun& begun) {
  const std::lock_guard lock(mutex_);
  begun.position = ++written_;
  if (!begun.ended) running_.insert(begun.position);
}

void AttemptLog::NoteEnded(Begun& begun) {
  uint64_t ended_up_to = 0;
  {
    const std::lock_guard lock(mutex_);
    begun.ended = true;
    running_.erase(begun.position);
    if (++ended_since_forgotten_ < kForgetEvery) return;
    ended_since_forgotten_ = 0;
    ended_up_to = running_.empty() ? written_ : *running_.begin() - 1;
  }
  ForgetEnded(ended_up_to);
}

void AttemptLog::ForgetEnded(uint64_t position) {
  if (position <= begun_->stats().taken) return;
  const absl::Status done = begun_->Acknowledge(position);
  if (!done.ok()) {
    parts_.logger.Warning("the journal of begun attempts keeps more than it must",
                          {{"error", done.ToString()}});
  }
}

AttemptLog::Attempt::Attempt(AttemptLog* log, const v1::GenerateRequest& request, absl::Time now)
    : log_(request.usage_id().empty() ? nullptr : log) {
  if (log_ == nullptr) return;
  record_.set_attempt_id(log_->parts_.ids.Next());
  record_.set_usage_id(request.usage_id());
  record_.set_worker(log_->name_);
  record_.set_checkpoint_digest(request.checkpoint_digest());
  record_.set_prompt_tokens(request.prompt_ids_size());
  *record_.mutable_time() = ToProto(now);
}

void AttemptLog::Attempt::Begin() {
  if (log_ == nullptr) return;
  begun_ = std::make_shared<Begun>();
  record_.set_outcome(pb::Attempt::OUTCOME_UNSPECIFIED);
  log_->begun_->Append(record_.SerializeAsString(),
                       [log = log_, begun = begun_](const absl::Status& status) {
                         if (status.ok()) log->NoteWritten(*begun);
                       });
  record_.set_outcome(pb::Attempt::CANCELLED);  // unless it comes to an end
}

void AttemptLog::Attempt::NoteEnd(const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  record_.set_outcome(status.ok() ? pb::Attempt::FINISHED : pb::Attempt::FAILED);
}

AttemptLog::Attempt::~Attempt() {
  if (begun_ == nullptr) return;
  record_.set_computed_tokens(computed_tokens);
  record_.set_sent_tokens(sent_tokens);
  log_->ended_->Append(record_.SerializeAsString(),
                       [log = log_, begun = begun_](const absl::Status& status) {
                         if (status.ok()) log->NoteEnded(*begun);
                       });
}

}  // namespace floe::inference
