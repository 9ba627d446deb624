#include "services/usage/delivery.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace floe::usage {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(200);

}  // namespace

absl::StatusOr<std::unique_ptr<JournalDelivery>> JournalDelivery::Start(Options options, Send send,
                                                                        const Parts& parts) {
  FLOE_ASSIGN_OR_RETURN(auto rejected, Journal::Open({.folder = options.rejected_folder}));
  return std::unique_ptr<JournalDelivery>(
      new JournalDelivery(std::move(options), std::move(send), parts, std::move(rejected)));
}

JournalDelivery::JournalDelivery(Options options, Send send, const Parts& parts,
                                 std::unique_ptr<Journal> rejected)
    : options_(std::move(options)),
      send_(std::move(send)),
      parts_(parts),
      rejected_(std::move(rejected)) {
  ShowPending();
  thread_ = std::thread([this] { Loop(); });
}

JournalDelivery::~JournalDelivery() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  parts_.journal.Stop();
  thread_.join();
}

void JournalDelivery::ShowPending() {
  parts_.metrics
      .Gauge(options_.metric + "_pending_records",
             "Records that are durable here and not yet counted by billing.")
      .Set(static_cast<double>(parts_.journal.stats().pending()));
  parts_.metrics
      .Gauge(options_.metric + "_rejected_records", "Records kept aside, that billing refused.")
      .Set(static_cast<double>(rejected_->stats().pending()));
}

void JournalDelivery::Loop() {
  uint64_t position = parts_.journal.stats().taken;
  int failures = 0;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
    }
    if (!parts_.journal.WaitForMore(position, kLook)) {
      ShowPending();
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      continue;
    }
    if (!Linger()) return;
    const absl::StatusOr<uint64_t> next = DeliverBatch(position);
    ShowPending();
    if (next.ok()) {
      position = *next;
      failures = 0;
      const std::lock_guard lock(mutex_);  // so that Flush misses no news
      changed_.notify_all();
      continue;
    }
    ++failures;
    parts_.logger.Warning(
        "usage was not delivered; it is tried again",
        {{"error", next.status().ToString()}, {"pending", parts_.journal.stats().pending()}});
    if (!WaitBeforeRetry(failures)) return;
  }
}

bool JournalDelivery::Linger() {
  if (parts_.journal.stats().pending() >= options_.batch) return true;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(options_.linger),
                    [this] { return ending_ || hurry_; });
  return !ending_;
}

bool JournalDelivery::WaitBeforeRetry(int failures) {
  const absl::Duration delay =
      std::min(options_.max_delay, options_.first_delay * (1 << std::min(failures - 1, 20)));
  // In short pieces, since the number of those that wait grows meanwhile.
  for (absl::Duration waited; waited < delay; waited += kLook) {
    ShowPending();
    std::unique_lock lock(mutex_);
    const absl::Duration wait = hurry_ ? options_.first_delay : std::min(kLook, delay - waited);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [this] { return ending_; });
    if (ending_) return false;
    if (hurry_) break;
  }
  return true;
}

absl::StatusOr<uint64_t> JournalDelivery::DeliverBatch(uint64_t position) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<Journal::Entry> entries,
                        parts_.journal.ReadAfter(position, options_.batch));
  if (entries.empty()) return position;
  std::vector<std::string> records;
  records.reserve(entries.size());
  for (const Journal::Entry& entry : entries) records.push_back(entry.record);
  absl::Status sent = send_(records);
  if (absl::IsInvalidArgument(sent)) sent = DeliverOneByOne(entries);
  FLOE_RETURN_IF_ERROR(sent);
  FLOE_RETURN_IF_ERROR(parts_.journal.Acknowledge(entries.back().position));
  parts_.metrics.Counter(options_.metric + "_delivered_total", "Records that billing has taken in.")
      .Increment(static_cast<double>(entries.size()));
  return entries.back().position;
}

absl::Status JournalDelivery::DeliverOneByOne(const std::vector<Journal::Entry>& entries) {
  for (const Journal::Entry& entry : entries) {
    const absl::Status sent = send_({entry.record});
    if (!absl::IsInvalidArgument(sent)) {
      FLOE_RETURN_IF_ERROR(sent);
      continue;
    }
    FLOE_RETURN_IF_ERROR(rejected_->AppendAndWait(entry.record));
    parts_.logger.Error("billing refuses a record; it is kept in the folder of rejected ones",
                        {{"error", sent.ToString()}, {"position", entry.position}});
  }
  return absl::OkStatus();
}

bool JournalDelivery::Flush(absl::Duration timeout) {
  const uint64_t goal = parts_.journal.stats().appended;
  std::unique_lock lock(mutex_);
  hurry_ = true;
  changed_.notify_all();
  const bool done = changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] {
    return ending_ || parts_.journal.stats().taken >= goal;
  });
  hurry_ = false;
  return done && parts_.journal.stats().taken >= goal;
}

}  // namespace floe::usage
