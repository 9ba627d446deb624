#include "services/gateway/policy/policy_file.h"

#include <prometheus/gauge.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::gateway {
namespace {

constexpr uint64_t kMaxBytes = 2 << 20;  // the parser says what is too long

absl::StatusOr<std::shared_ptr<const policy::Policy>> Parse(const std::filesystem::path& path,
                                                            const std::string& text) {
  // What an editor leaves for a moment must not allow everything.
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), " is empty; to allow everything, write {} or leave out policy-file"));
  }
  auto parsed = policy::Policy::Parse(text);
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat(path.string(), ": ", parsed.status().message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PolicyFile>> PolicyFile::Load(Options options, Parts parts) {
  std::string text = "{}";
  if (!options.path.empty()) {
    FLOE_ASSIGN_OR_RETURN(text, ReadFile(options.path, kMaxBytes));
  }
  FLOE_ASSIGN_OR_RETURN(auto policy, Parse(options.path, text));
  parts.logger.Info("policy", {{"file", options.path.string()},
                               {"digest", policy->digest()},
                               {"version", policy->version()}});
  return std::unique_ptr<PolicyFile>(new PolicyFile(std::move(options), parts, std::move(policy)));
}

PolicyFile::PolicyFile(Options options, Parts parts, std::shared_ptr<const policy::Policy> policy)
    : options_(std::move(options)), parts_(parts), policy_(std::move(policy)) {
  ShowError(false);
  if (options_.path.empty()) return;
  polling_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    const auto pause = absl::ToChronoMilliseconds(options_.poll);
    while (!stop_.wait_for(lock, pause, [this] { return stopping_; })) {
      lock.unlock();
      Poll();
      lock.lock();
    }
  });
}

PolicyFile::~PolicyFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (polling_.joinable()) polling_.join();
}

std::shared_ptr<const policy::Policy> PolicyFile::Current() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

absl::Status PolicyFile::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void PolicyFile::ShowError(bool wrong) {
  parts_.metrics
      .Gauge("floe_gateway_policy_error",
             "1 while the policy file is bad or gone and an older policy holds.")
      .Set(wrong ? 1 : 0);
}

void PolicyFile::Poll() {
  const absl::StatusOr<std::string> text = ReadFile(options_.path, kMaxBytes);
  const std::string look = text.ok() ? Sha256::Hex(*text) : std::string(text.status().message());
  const bool steady = std::exchange(last_look_, look) == look;
  const std::string old = Current()->digest();
  const bool changed = look != old;
  if (changed && !steady) return;
  std::shared_ptr<const policy::Policy> next;  // null: the file is bad, or is what holds
  absl::Status now = text.status();
  if (text.ok() && changed) {
    const auto parsed = Parse(options_.path, *text);
    now = parsed.status();
    if (parsed.ok()) next = *parsed;
  }
  bool news = false;
  {
    const std::lock_guard lock(mutex_);
    news = now != error_;
    error_ = now;
    if (next != nullptr) policy_ = next;
  }
  ShowError(!now.ok());
  if (!now.ok() && news) {
    parts_.logger.Error("the policy file is bad; the old policy stays",
                        {{"error", std::string(now.message())}, {"digest", old}});
  } else if (next != nullptr) {
    parts_.logger.Info("policy", {{"file", options_.path.string()},
                                  {"digest", next->digest()},
                                  {"version", next->version()}});
  }
}

}  // namespace floe::gateway
