#include "services/inference/attempt_log.h"

#include <utility>

#include "base/status_macros.h"
#include "services/runtime/proto_time.h"
#include "services/usage/billing_senders.h"
#include "services/usage/lasting_name.h"

namespace floe::inference {
namespace {

namespace pb = billing::v1;

}  // namespace

absl::StatusOr<std::unique_ptr<AttemptLog>> AttemptLog::Open(
    const std::filesystem::path& folder, const std::shared_ptr<grpc::Channel>& billing,
    const Parts& parts) {
  std::unique_ptr<AttemptLog> log(new AttemptLog(parts));
  FLOE_ASSIGN_OR_RETURN(
      log->work_, usage::WorkJournal::Open({.begun = folder / "begun", .ended = folder / "ended"},
                                           parts.logger));
  FLOE_ASSIGN_OR_RETURN(log->name_, usage::LastingName(folder, "worker", parts.ids));
  if (billing == nullptr) return log;
  usage::JournalDelivery::Options options;
  options.metric = "floe_inference_attempt";
  options.rejected_folder = folder / "rejected";
  FLOE_ASSIGN_OR_RETURN(log->delivery_, usage::JournalDelivery::Start(
                                            options, usage::SendAttempts(billing),
                                            {log->work_->ended(), parts.logger, parts.metrics}));
  return log;
}

bool AttemptLog::Flush(absl::Duration timeout) {
  work_->Sync();  // delivery sees only what is on disk
  return delivery_ == nullptr || delivery_->Flush(timeout);
}

AttemptLog::Attempt::Attempt(AttemptLog* log, const Work& work, absl::Time now)
    : log_(work.usage_id.empty() ? nullptr : log) {
  if (log_ == nullptr) return;
  record_.set_attempt_id(log_->parts_.ids.Next());
  record_.set_usage_id(work.usage_id);
  record_.set_worker(log_->name_);
  record_.set_checkpoint_digest(work.checkpoint_digest);
  record_.set_prompt_tokens(work.prompt_tokens);
  *record_.mutable_time() = runtime::ToProto(now);
}

void AttemptLog::Attempt::Begin() {
  if (log_ == nullptr) return;
  begun_ = true;
  record_.set_outcome(pb::Attempt::OUTCOME_UNSPECIFIED);
  log_->work_->Begin(record_.attempt_id(), record_.SerializeAsString());
  record_.set_outcome(pb::Attempt::CANCELLED);  // unless it comes to an end
}

void AttemptLog::Attempt::NoteEnd(const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  refused_ = absl::IsResourceExhausted(status) && computed_tokens == 0;
  record_.set_outcome(status.ok() ? pb::Attempt::FINISHED : pb::Attempt::FAILED);
}

AttemptLog::Attempt::~Attempt() {
  if (!begun_) return;
  if (refused_) {
    log_->work_->Drop(record_.attempt_id());
    return;
  }
  record_.set_prefix_cached_tokens(prefix_cached_tokens);
  record_.set_computed_tokens(computed_tokens);
  record_.set_sent_tokens(sent_tokens);
  log_->work_->End(record_.attempt_id(), record_.SerializeAsString(), [](const absl::Status&) {});
}

}  // namespace floe::inference
