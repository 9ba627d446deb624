#include "services/inference/attempt_log.h"

#include <utility>

#include "base/status_macros.h"
#include "services/usage/attempt_proto.h"
#include "services/usage/billing_senders.h"
#include "services/usage/lasting_name.h"
#include "services/usage/receipt_status.h"

namespace floe::inference {
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

void AttemptLog::End(billing::Attempt& record) {
  const std::lock_guard lock(mutex_);
  chain_.Sign(record);
  work_->End(record.attempt_id, usage::ToProto(record).SerializeAsString(),
             [](const absl::Status&) {});
}

AttemptLog::Attempt::Attempt(AttemptLog* log, const Work& work, absl::Time now)
    : log_(work.usage_id.empty() ? nullptr : log) {
  if (log_ == nullptr) return;
  record_.attempt_id = log_->parts_.ids.Next();
  record_.usage_id = work.usage_id;
  record_.worker = log_->name_;
  record_.checkpoint_digest = work.checkpoint_digest;
  record_.prompt_tokens = work.prompt_tokens;
  record_.time = absl::FromUnixMicros(absl::ToUnixMicros(now));  // as it will be kept
}

void AttemptLog::Attempt::Begin() {
  if (log_ == nullptr) return;
  begun_ = true;
  log_->work_->Begin(record_.attempt_id, usage::ToProto(record_).SerializeAsString());
  record_.outcome = billing::AttemptOutcome::kCancelled;  // unless it comes to an end
}

void AttemptLog::Attempt::NoteEnd(const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  const bool worked = computed_tokens > 0 || record_.model_tokens > 0;
  refused_ = absl::IsResourceExhausted(status) && !worked;
  record_.outcome =
      status.ok() ? billing::AttemptOutcome::kFinished : billing::AttemptOutcome::kFailed;
}

void AttemptLog::Attempt::NoteUsage(const Usage& usage) {
  record_.model_tokens += usage.computed_tokens;
  record_.queue_time += usage.queue_time;
  const bool answered = usage.time_to_first_token > absl::ZeroDuration();
  const absl::Duration first = answered ? usage.time_to_first_token : usage.total_time;
  record_.prefill_time += first - usage.queue_time;
  record_.decode_time += usage.total_time - first;
  record_.kv_block_time += usage.kv_block_time;
}

const std::string& AttemptLog::Attempt::Sign() {
  if (!begun_ || refused_ || std::exchange(signed_, true)) return record_.receipt.digest;
  record_.prefix_cached_tokens = prefix_cached_tokens;
  record_.computed_tokens = computed_tokens;
  record_.sent_tokens = sent_tokens;
  log_->End(record_);
  return record_.receipt.digest;
}

absl::Status AttemptLog::Attempt::SignFor(absl::Status status) {
  const std::string& receipt = Sign();
  return usage::WithReceipt(std::move(status), receipt);
}

AttemptLog::Attempt::~Attempt() {
  if (begun_ && refused_) log_->work_->Drop(record_.attempt_id);
  Sign();
}

}  // namespace floe::inference
