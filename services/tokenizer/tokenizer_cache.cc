#include "services/tokenizer/tokenizer_cache.h"

#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::services::tokenizer {
namespace {

absl::Status CheckName(std::string_view name) {
  const size_t at = name.find('@');
  const bool revision_ok =
      at == std::string_view::npos ||
      (name.substr(at + 1).starts_with("sha256:") && IsSha256Hex(name.substr(at + 8)));
  if (revision_ok && ParseResourceName(name.substr(0, at), {"teams", "tokenizers"}).ok()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer is \"", absl::CHexEscape(std::string(name)),
                   "\"; write teams/<team>/tokenizers/<tokenizer>, with @sha256:<digest> for one "
                   "revision"));
}

}  // namespace

absl::StatusOr<LoadedTokenizer> TokenizerCache::Get(const runtime::CallContext& call,
                                                    const std::string& name) {
  FLOE_RETURN_IF_ERROR(CheckName(name));
  FLOE_ASSIGN_OR_RETURN(const std::string digest, files_.Resolve(call, name));
  if (auto known = Find(digest)) return LoadedTokenizer{std::move(known), digest};
  FLOE_ASSIGN_OR_RETURN(const std::string json, files_.Fetch(call, digest));
  auto tokenizer = floe::tokenizer::Tokenizer::Load(json);
  if (!tokenizer.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " cannot be used: ", tokenizer.status().message()));
  }
  LoadedTokenizer loaded{*std::move(tokenizer), digest};
  Insert(loaded);
  return loaded;
}

std::shared_ptr<const floe::tokenizer::Tokenizer> TokenizerCache::Find(const std::string& digest) {
  std::lock_guard lock(mutex_);
  const auto found = index_.find(digest);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->tokenizer;
}

void TokenizerCache::Insert(LoadedTokenizer loaded) {
  std::lock_guard lock(mutex_);
  if (index_.contains(loaded.digest)) return;  // another call was faster
  order_.push_front(std::move(loaded));
  index_[order_.front().digest] = order_.begin();
  if (order_.size() <= capacity_) return;
  index_.erase(order_.back().digest);
  order_.pop_back();
}

size_t TokenizerCache::size() const {
  std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace floe::services::tokenizer
