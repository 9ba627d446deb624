#include "services/gateway/clients/tokenizers.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::gateway {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

}  // namespace

std::shared_ptr<const tokenizer::Tokenizer> Tokenizers::Find(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(digest);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->tokenizer;
}

void Tokenizers::Insert(Loaded loaded) {
  const std::lock_guard lock(mutex_);
  flights_.erase(loaded.digest);
  if (index_.contains(loaded.digest)) return;
  order_.push_front(std::move(loaded));
  index_[order_.front().digest] = order_.begin();
  if (order_.size() <= capacity_) return;
  index_.erase(order_.back().digest);
  order_.pop_back();
}

absl::StatusOr<std::shared_ptr<const tokenizer::Tokenizer>> Tokenizers::Load(
    const runtime::OutgoingCall& call, const std::string& digest) {
  std::shared_ptr<std::mutex> flight;  // shared by those who want this digest now
  {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<std::mutex>& known = flights_[digest];
    flight = known.lock();
    if (flight == nullptr) known = flight = std::make_shared<std::mutex>();
  }
  const std::lock_guard loading(*flight);
  if (auto loaded = Find(digest)) return loaded;
  FLOE_ASSIGN_OR_RETURN(const std::string json,
                        registry_.DownloadBytes(call, digest, kMaxFileBytes));
  auto tokenizer = tokenizer::Tokenizer::Load(json);
  if (!tokenizer.ok()) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("the model's tokenizer.json (sha256:", digest,
                                       ") cannot be used: ", tokenizer.status().message())),
                      "MODEL_NOT_SERVABLE", {{"param", "model"}});
  }
  std::shared_ptr<const tokenizer::Tokenizer> shared = *std::move(tokenizer);
  Insert({digest, shared});
  return shared;
}

}  // namespace floe::gateway
