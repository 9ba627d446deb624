// Which worker computes a request. Pure: a snapshot in, a decision out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace floe::gateway {

struct WorkerState {
  std::string_view address;
  int64_t in_flight = 0;         // this gateway's calls
  int failures = 0;              // in a row; an answer ends the row
  absl::Duration resting_until;  // Clock::Monotonic: not asked before, unless nobody else is left
  bool excluded = false;         // this request has tried it already
};

// What requests that may share keys and values have in common: checkpoint, cache salt (one
// tenant's) and the first 64 ids of the prompt; shorter prompts count whole. The same on every
// gateway.
uint64_t PrefixKey(std::string_view digest, std::string_view cache_salt,
                   std::span<const uint32_t> prompt_ids);

enum class Choice {
  kAffinity,  // the one that the key ranks first: it may have the prefix in its cache
  kOverflow,  // another one, since that one has more than its part of the calls
  kResting,   // all that are left rest
};
std::string_view Name(Choice choice);  // affinity, overflow, resting

struct PickedWorker {
  size_t index = 0;
  Choice choice = Choice::kAffinity;
};

// Rendezvous hashing with bounded load. Workers that do not rest are ranked by key and address; the
// first takes the request, unless it has its part already: a quarter more than all would have if
// calls were spread evenly. So a prefix stays on one worker, a worker that goes or comes moves no
// key but those that it ranks first for, and no prefix is so hot that a worker drowns in it. When
// all rest, the one whose rest ends first. Nothing when all are excluded.
std::optional<PickedWorker> PickWorker(const std::vector<WorkerState>& workers, uint64_t key,
                                       absl::Duration now);

// How long a worker rests after that many failures in a row: doubling from 100 ms to 5 s.
absl::Duration RestAfter(int failures);

}  // namespace floe::gateway
