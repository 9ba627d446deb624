#include "services/gateway/clients/tokenizers.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::gateway {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

}  // namespace

std::string Tokenizers::KeyOf(const ResolvedModel& model) {
  return absl::StrCat(model.tokenizer_digest, " ", model.tokenizer_config_digest);
}

std::shared_ptr<const ModelText> Tokenizers::Find(const ResolvedModel& model) {
  return FindKey(KeyOf(model));
}

std::shared_ptr<const ModelText> Tokenizers::FindKey(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->text;
}

void Tokenizers::Insert(Loaded loaded) {
  const std::lock_guard lock(mutex_);
  flights_.erase(loaded.key);
  if (index_.contains(loaded.key)) return;
  order_.push_front(std::move(loaded));
  index_[order_.front().key] = order_.begin();
  if (order_.size() <= capacity_) return;
  index_.erase(order_.back().key);
  order_.pop_back();
}

absl::StatusOr<ModelText> Tokenizers::Fetch(const runtime::OutgoingCall& call,
                                            const ResolvedModel& model) {
  FLOE_ASSIGN_OR_RETURN(const std::string json,
                        registry_.DownloadBytes(call, model.tokenizer_digest, kMaxFileBytes));
  auto tokenizer = tokenizer::Tokenizer::Load(json);
  if (!tokenizer.ok()) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "the model's tokenizer.json (sha256:", model.tokenizer_digest,
                          ") cannot be used: ", tokenizer.status().message())),
                      "MODEL_NOT_SERVABLE", {{"param", "model"}});
  }
  ModelText text{*std::move(tokenizer), tokenizer::ChatTemplate()};
  if (model.tokenizer_config_digest.empty()) return text;
  FLOE_ASSIGN_OR_RETURN(
      const std::string config,
      registry_.DownloadBytes(call, model.tokenizer_config_digest, kMaxFileBytes));
  text.chat = tokenizer::ChatTemplate::FromConfig(config);
  return text;
}

absl::StatusOr<std::shared_ptr<const ModelText>> Tokenizers::Load(const runtime::OutgoingCall& call,
                                                                  const ResolvedModel& model) {
  const std::string key = KeyOf(model);
  std::shared_ptr<std::mutex> flight;  // shared by those who want these files now
  {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<std::mutex>& known = flights_[key];
    flight = known.lock();
    if (flight == nullptr) known = flight = std::make_shared<std::mutex>();
  }
  const std::lock_guard loading(*flight);
  if (auto loaded = FindKey(key)) return loaded;
  FLOE_ASSIGN_OR_RETURN(ModelText text, Fetch(call, model));
  auto shared = std::make_shared<const ModelText>(std::move(text));
  Insert({key, shared});
  return shared;
}

}  // namespace floe::gateway
