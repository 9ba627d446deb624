#include "services/retrieval/registry_models.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"

namespace floe::retrieval {
namespace {

constexpr absl::Duration kRegistryTime = absl::Seconds(20);
constexpr absl::Duration kFresh = absl::Minutes(1);
constexpr size_t kMaxKnown = 1000;
constexpr size_t kMaxTokenizers = 16;
constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;
constexpr std::string_view kDigestMark = "sha256:";

absl::Status CannotEmbed(const std::string& version, std::string why) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(version, " cannot be used here: ", why)),
      "MODEL_NOT_SERVABLE", {{"model", version}});
}

}  // namespace

runtime::OutgoingCall OutgoingFor(const Caller& caller, absl::Duration at_most) {
  runtime::OutgoingCall call = runtime::OutgoingCall::Own(caller.request_id, at_most);
  call.identity.team = caller.team;
  call.identity.role = caller.role;
  call.identity.key_id = caller.actor;
  if (const auto trace = runtime::ParseTraceParent(caller.traceparent)) {
    call.identity.trace = *trace;
  }
  call.deadline = std::min(call.deadline, caller.deadline);
  return call;
}

absl::StatusOr<EmbeddingModel> RegistryModels::Resolve(const Caller& caller,
                                                       const std::string& reference) {
  const std::string key = absl::StrCat(caller.team, "/", reference);  // a team's name has no '/'
  const bool fixed = reference.starts_with(kDigestMark);
  if (fixed) {
    if (auto known = Recall(key)) return *std::move(known);
  }
  FLOE_ASSIGN_OR_RETURN(const auto version, registry_.ResolveModelVersion(
                                                OutgoingFor(caller, kRegistryTime),
                                                absl::StrCat("teams/", caller.team), reference));
  std::string tokenizer_digest, config_digest;
  for (const auto& file : version.files()) {
    if (file.name() == "tokenizer.json") tokenizer_digest = file.digest();
    if (file.name() == "tokenizer_config.json") config_digest = file.digest();
  }
  if (tokenizer_digest.empty()) {
    return CannotEmbed(version.name(), "it has no tokenizer.json; publish it with its tokenizer");
  }
  const auto manifest = model::Manifest::Parse(version.manifest());
  if (!manifest.ok()) return CannotEmbed(version.name(), std::string(manifest.status().message()));
  FLOE_ASSIGN_OR_RETURN(const Loaded text, TextOf(caller, tokenizer_digest, config_digest));
  EmbeddingModel model{version.digest(), manifest->blueprint.context, text.tokenizer, text.chat};
  if (fixed) Remember({key, model, clock_.Monotonic()});
  return model;
}

std::optional<EmbeddingModel> RegistryModels::Recall(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& known) { return known.key == key; });
  if (found == known_.end()) return std::nullopt;
  if (clock_.Monotonic() - found->resolved > kFresh) {
    known_.erase(found);
    return std::nullopt;
  }
  known_.splice(known_.begin(), known_, found);
  return found->model;
}

void RegistryModels::Remember(Known known) {
  const std::lock_guard lock(mutex_);
  known_.push_front(std::move(known));
  if (known_.size() > kMaxKnown) known_.pop_back();
}

absl::StatusOr<RegistryModels::Loaded> RegistryModels::TextOf(const Caller& caller,
                                                              const std::string& tokenizer_digest,
                                                              const std::string& config_digest) {
  const std::string key = absl::StrCat(tokenizer_digest, " ", config_digest);
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(loaded_.begin(), loaded_.end(),
                                    [&](const Loaded& loaded) { return loaded.key == key; });
    if (found != loaded_.end()) {
      loaded_.splice(loaded_.begin(), loaded_, found);
      return *found;
    }
  }
  const auto call = OutgoingFor(caller, kRegistryTime);
  FLOE_ASSIGN_OR_RETURN(const std::string json,
                        registry_.DownloadBytes(call, tokenizer_digest, kMaxTokenizerBytes));
  auto tokenizer = tokenizer::Tokenizer::Load(json);
  if (!tokenizer.ok()) {
    return CannotEmbed(absl::StrCat("tokenizer.json sha256:", tokenizer_digest),
                       std::string(tokenizer.status().message()));
  }
  Loaded loaded{key, *std::move(tokenizer), tokenizer::ChatTemplate()};
  if (!config_digest.empty()) {
    FLOE_ASSIGN_OR_RETURN(const std::string config,
                          registry_.DownloadBytes(call, config_digest, kMaxTokenizerBytes));
    loaded.chat = tokenizer::ChatTemplate::FromConfig(config);
  }
  const std::lock_guard lock(mutex_);
  loaded_.push_front(loaded);
  if (loaded_.size() > kMaxTokenizers) loaded_.pop_back();
  return loaded;
}

}  // namespace floe::retrieval
