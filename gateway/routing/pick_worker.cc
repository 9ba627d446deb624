#include "gateway/routing/pick_worker.h"

#include <algorithm>
#include <tuple>

namespace floe::gateway {
namespace {

constexpr absl::Duration kFirstRest = absl::Milliseconds(100);
constexpr absl::Duration kLongestRest = absl::Seconds(5);

// FNV-1a, 64 bits, with a final mix: the same on every gateway, unlike std::hash.
uint64_t Rank(std::string_view address, std::string_view digest) {
  uint64_t hash = 14695981039346656037ULL;
  for (const std::string_view part : {address, digest}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  return hash ^ (hash >> 33);
}

}  // namespace

std::optional<size_t> PickWorker(const std::vector<WorkerState>& workers, std::string_view digest,
                                 absl::Duration now) {
  std::optional<size_t> best;
  // Smaller is better.
  const auto cost = [&](const WorkerState& worker) {
    const absl::Duration rest = std::max(worker.resting_until - now, absl::ZeroDuration());
    return std::tuple(rest, worker.in_flight, ~Rank(worker.address, digest));
  };
  for (size_t i = 0; i < workers.size(); ++i) {
    if (workers[i].excluded) continue;
    if (!best || cost(workers[i]) < cost(workers[*best])) best = i;
  }
  return best;
}

absl::Duration RestAfter(int failures) {
  absl::Duration rest = kFirstRest;
  for (int i = 1; i < failures && rest < kLongestRest; ++i) rest *= 2;
  return std::min(rest, kLongestRest);
}

}  // namespace floe::gateway
