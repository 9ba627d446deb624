#include "services/jobs/usage_sender.h"

#include <grpcpp/client_context.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#include "services/runtime/client.h"
#include "services/runtime/proto_time.h"
#include "services/runtime/status.h"

namespace floe::jobs {
namespace {

namespace pb = billing::v1;
using runtime::ToProto;

constexpr absl::Duration kCallTime = absl::Seconds(10);

pb::JobQuantities Quantities(const Usage& used) {
  pb::JobQuantities quantities;
  quantities.set_tokens(used.tokens);
  quantities.set_gigaflop(used.gigaflop);
  *quantities.mutable_core_time() = ToProto(used.core_time);
  return quantities;
}

pb::JobUsage Encode(const AttemptUsage& one) {
  pb::JobUsage usage;
  usage.set_job(one.job);
  usage.set_attempt(one.attempt.number);
  usage.set_kind(one.kind);
  usage.set_runner(one.attempt.runner);
  if (one.attempt.start_time) *usage.mutable_start_time() = ToProto(*one.attempt.start_time);
  if (one.attempt.end_time) *usage.mutable_end_time() = ToProto(*one.attempt.end_time);
  if (one.attempt.outcome) usage.set_outcome(std::string(OutcomeName(*one.attempt.outcome)));
  usage.set_made(one.made);
  *usage.mutable_used() = Quantities(one.attempt.used);
  return usage;
}

}  // namespace

absl::Status SendUsage(pb::UsageService::Stub& billing, const std::string& queue,
                       const UsageDelivery& delivery) {
  pb::IngestJobUsageRequest request;
  request.set_queue(queue);
  for (const AttemptUsage& one : delivery.attempts) *request.add_attempts() = Encode(one);
  for (const UsageCount& one : delivery.counts) {
    pb::JobCount& count = *request.add_counts();
    count.set_team(one.team);
    *count.mutable_used() = Quantities(one.used);
    count.mutable_used()->set_attempts(one.attempts);
  }
  grpc::ClientContext context;
  runtime::PrepareCall(context, runtime::OutgoingCall::Own("job-usage", kCallTime));
  pb::IngestJobUsageResponse answer;
  return runtime::FromGrpcStatus(billing.IngestJobUsage(&context, request, &answer));
}

UsageSender::UsageSender(Parts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      stub_(pb::UsageService::NewStub(parts_.billing)),
      thread_([this](std::stop_token stop) { Loop(stop); }) {}

absl::StatusOr<int> UsageSender::Send() {
  const auto sent = parts_.outbox.Deliver(options_.batch, [this](const UsageDelivery& delivery) {
    return SendUsage(*stub_, options_.queue, delivery);
  });
  if (const auto waiting = parts_.outbox.Waiting(); waiting.ok()) {
    parts_.metrics
        .Gauge("floe_jobs_usage_waiting_records",
               "Attempts that ended and that billing does not have yet.")
        .Set(static_cast<double>(*waiting));
  }
  return sent;
}

void UsageSender::Loop(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  absl::Duration delay = options_.poll_interval;
  bool delivered = true;
  while (!stop.stop_requested()) {
    const auto sent = Send();
    if (!sent.ok() && delivered) {  // said once an outage
      parts_.logger.Warning("what jobs used is not delivered; it waits and is tried again",
                            {{"error", sent.status().ToString()}});
    }
    delivered = sent.ok();
    if (delivered && *sent == options_.batch) continue;
    delay = delivered ? options_.poll_interval : std::min(2 * delay, options_.max_delay);
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, absl::ToChronoNanoseconds(delay), [] { return false; });
  }
}

}  // namespace floe::jobs
