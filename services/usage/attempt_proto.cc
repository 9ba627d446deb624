#include "services/usage/attempt_proto.h"

#include "services/runtime/proto_time.h"

namespace floe::usage {
namespace {

namespace v1 = billing::v1;
using runtime::FromProto;
using runtime::ToProto;

billing::AttemptOutcome OutcomeOf(v1::Attempt::Outcome outcome) {
  switch (outcome) {
    case v1::Attempt::FINISHED:
      return billing::AttemptOutcome::kFinished;
    case v1::Attempt::CANCELLED:
      return billing::AttemptOutcome::kCancelled;
    case v1::Attempt::FAILED:
      return billing::AttemptOutcome::kFailed;
    default:
      return billing::AttemptOutcome::kUnknown;
  }
}

v1::Attempt::Outcome ToProto(billing::AttemptOutcome outcome) {
  switch (outcome) {
    case billing::AttemptOutcome::kFinished:
      return v1::Attempt::FINISHED;
    case billing::AttemptOutcome::kCancelled:
      return v1::Attempt::CANCELLED;
    case billing::AttemptOutcome::kFailed:
      return v1::Attempt::FAILED;
    case billing::AttemptOutcome::kUnknown:
      break;
  }
  return v1::Attempt::OUTCOME_UNSPECIFIED;
}

}  // namespace

billing::Attempt FromProto(const v1::Attempt& attempt) {
  const v1::Attempt::Receipt& receipt = attempt.receipt();
  return {.attempt_id = attempt.attempt_id(),
          .usage_id = attempt.usage_id(),
          .worker = attempt.worker(),
          .checkpoint_digest = attempt.checkpoint_digest(),
          .time = FromProto(attempt.time()),
          .prompt_tokens = attempt.prompt_tokens(),
          .prefix_cached_tokens = attempt.prefix_cached_tokens(),
          .computed_tokens = attempt.computed_tokens(),
          .sent_tokens = attempt.sent_tokens(),
          .outcome = OutcomeOf(attempt.outcome()),
          .model_tokens = attempt.model_tokens(),
          .queue_time = FromProto(attempt.queue_time()),
          .prefill_time = FromProto(attempt.prefill_time()),
          .decode_time = FromProto(attempt.decode_time()),
          .kv_block_time = FromProto(attempt.kv_block_time()),
          .receipt = {receipt.chain(), receipt.sequence(), receipt.previous_digest(),
                      receipt.digest()}};
}

v1::Attempt ToProto(const billing::Attempt& attempt) {
  v1::Attempt out;
  out.set_attempt_id(attempt.attempt_id);
  out.set_usage_id(attempt.usage_id);
  out.set_worker(attempt.worker);
  out.set_checkpoint_digest(attempt.checkpoint_digest);
  *out.mutable_time() = ToProto(attempt.time);
  out.set_prompt_tokens(attempt.prompt_tokens);
  out.set_prefix_cached_tokens(attempt.prefix_cached_tokens);
  out.set_computed_tokens(attempt.computed_tokens);
  out.set_sent_tokens(attempt.sent_tokens);
  out.set_outcome(ToProto(attempt.outcome));
  out.set_model_tokens(attempt.model_tokens);
  *out.mutable_queue_time() = ToProto(attempt.queue_time);
  *out.mutable_prefill_time() = ToProto(attempt.prefill_time);
  *out.mutable_decode_time() = ToProto(attempt.decode_time);
  *out.mutable_kv_block_time() = ToProto(attempt.kv_block_time);
  if (attempt.receipt.chain.empty()) return out;
  v1::Attempt::Receipt& receipt = *out.mutable_receipt();
  receipt.set_chain(attempt.receipt.chain);
  receipt.set_sequence(attempt.receipt.sequence);
  receipt.set_previous_digest(attempt.receipt.previous_digest);
  receipt.set_digest(attempt.receipt.digest);
  return out;
}

}  // namespace floe::usage
