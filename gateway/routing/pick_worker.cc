#include "gateway/routing/pick_worker.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace floe::gateway {
namespace {

constexpr absl::Duration kFirstRest = absl::Milliseconds(100);
constexpr absl::Duration kLongestRest = absl::Seconds(5);
constexpr size_t kPrefixIds = 64;

// FNV-1a, 64 bits, with a final mix: the same on every gateway, unlike std::hash.
class Hash {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) AddByte(static_cast<unsigned char>(c));
    AddNumber(bytes.size());  // keeps neighbours apart
  }
  void AddNumber(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) AddByte(number >> shift & 0xff);
  }
  uint64_t Finish() const {
    uint64_t hash = (hash_ ^ (hash_ >> 33)) * 0xff51afd7ed558ccdULL;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return hash ^ (hash >> 33);
  }

 private:
  void AddByte(uint64_t byte) { hash_ = (hash_ ^ byte) * 1099511628211ULL; }
  uint64_t hash_ = 14695981039346656037ULL;
};

uint64_t Rank(std::string_view address, uint64_t key) {
  Hash hash;
  hash.Add(address);
  hash.AddNumber(key);
  return hash.Finish();
}

// A quarter more than an even part of the calls, this one included.
int64_t Bound(int64_t calls, int64_t workers) {
  return (5 * (calls + 1) + 4 * workers - 1) / (4 * workers);
}

}  // namespace

std::string_view Name(Choice choice) {
  constexpr std::array<std::string_view, 3> kNames = {"affinity", "overflow", "resting"};
  return kNames[static_cast<size_t>(choice)];
}

uint64_t PrefixKey(std::string_view digest, std::string_view cache_salt,
                   std::span<const uint32_t> prompt_ids) {
  Hash hash;
  hash.Add(digest);
  hash.Add(cache_salt);
  for (const uint32_t id : prompt_ids.first(std::min(prompt_ids.size(), kPrefixIds))) {
    hash.AddNumber(id);
  }
  return hash.Finish();
}

std::optional<PickedWorker> PickWorker(const std::vector<WorkerState>& workers, uint64_t key,
                                       absl::Duration now) {
  const auto rest = [&](const WorkerState& worker) {
    return std::max(worker.resting_until - now, absl::ZeroDuration());
  };
  int64_t awake = 0, calls = 0;
  for (const WorkerState& worker : workers) {
    if (worker.excluded || rest(worker) > absl::ZeroDuration()) continue;
    ++awake;
    calls += worker.in_flight;
  }
  const int64_t bound = awake > 0 ? Bound(calls, awake) : 0;
  // Smaller is better. Somebody awake is always below the bound.
  const auto cost = [&](const WorkerState& worker, bool bounded) {
    return std::tuple(rest(worker), bounded && worker.in_flight >= bound,
                      ~Rank(worker.address, key));
  };
  const auto best = [&](bool bounded) {
    std::optional<size_t> found;
    for (size_t i = 0; i < workers.size(); ++i) {
      if (workers[i].excluded) continue;
      if (!found || cost(workers[i], bounded) < cost(workers[*found], bounded)) found = i;
    }
    return found;
  };
  const std::optional<size_t> picked = best(true);
  if (!picked) return std::nullopt;
  if (awake == 0) return PickedWorker{*picked, Choice::kResting};
  return PickedWorker{*picked, picked == best(false) ? Choice::kAffinity : Choice::kOverflow};
}

absl::Duration RestAfter(int failures) {
  absl::Duration rest = kFirstRest;
  for (int i = 1; i < failures && rest < kLongestRest; ++i) rest *= 2;
  return std::min(rest, kLongestRest);
}

}  // namespace floe::gateway
