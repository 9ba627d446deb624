#include "services/gateway/clients/registry_models.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/view.h"
#include "model/checkpoint.h"
#include "services/gateway/clients/unary_call.h"
#include "services/runtime/proto_time.h"

namespace floe::gateway {
namespace {

namespace pb = registry::v1;

constexpr absl::Duration kResolveTime = absl::Seconds(5);
constexpr char kProduction[] = "production";
constexpr char kTokenizerFile[] = "tokenizer.json";
constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";
constexpr int kPageSize = 200;
constexpr size_t kMaxListed = 10'000;

// The last id of a resource name.
std::string IdOf(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }

absl::Status CannotServe(const pb::ModelVersion& version, std::string_view why) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat(version.name(), " cannot be served: ", std::string(why))),
                    "MODEL_NOT_SERVABLE", {{"param", "model"}});
}

}  // namespace

absl::StatusOr<ResolvedModel> FromProto(const pb::ModelVersion& version) {
  ResolvedModel model;
  model.digest = version.digest();
  model.version = version.name();
  model.created = runtime::FromProto(version.create_time());
  for (const pb::ModelVersion::File& file : version.files()) {
    if (file.name() == kTokenizerFile) model.tokenizer_digest = file.digest();
    if (file.name() == kTokenizerConfigFile) model.tokenizer_config_digest = file.digest();
  }
  if (!IsSha256Hex(model.digest)) {
    return absl::InternalError(absl::StrCat("the registry gave no digest for ", version.name()));
  }
  if (model.tokenizer_digest.empty()) {
    return CannotServe(version, "it has no tokenizer.json; publish it with its tokenizer");
  }
  const auto manifest = model::Manifest::Parse(version.manifest());
  if (!manifest.ok()) return CannotServe(version, StdView(manifest.status().message()));
  model.context = manifest->blueprint.context;
  model.hidden_size = manifest->blueprint.hidden_size;
  return model;
}

std::vector<ModelSummary> Askable(const pb::Model& model) {
  const std::string id = IdOf(model.name());
  const absl::Time created = runtime::FromProto(model.create_time());
  std::string team;
  if (const auto ids = ParseResourceName(model.name(), {"teams", "models"}); ids.ok()) {
    team = ids->front();
  }
  std::vector<ModelSummary> askable;
  for (const pb::Alias& alias : model.aliases()) {
    const std::string name = IdOf(alias.name());
    askable.push_back({name == kProduction ? id : absl::StrCat(id, "@", name), team, created});
  }
  if (askable.empty() && !model.latest_version().empty()) {
    askable.push_back({absl::StrCat(id, "@", IdOf(model.latest_version())), team, created});
  }
  return askable;
}

RegistryModels::RegistryModels(const std::shared_ptr<grpc::Channel>& registry, const Clock& clock,
                               Options options)
    : registry_(pb::RegistryService::NewStub(registry)), clock_(clock), options_(options) {}

std::optional<RegistryModels::Entry> RegistryModels::Recall(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

void RegistryModels::Remember(const std::string& key, const ResolvedModel& model) {
  const absl::Duration now = clock_.Monotonic();
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= options_.max_entries) {
    std::erase_if(entries_, [&](const auto& entry) {
      return now - entry.second.resolved > options_.fresh_for;
    });
    if (entries_.size() >= options_.max_entries) entries_.clear();
  }
  entries_[key] = {model, now};
}

Awaitable<absl::StatusOr<ResolvedModel>> RegistryModels::Resolve(const CallScope& scope,
                                                                 const std::string& reference) {
  // A team's name has no '/'.
  const std::string key = absl::StrCat(scope.caller.team, "/", reference);
  const std::optional<Entry> known = Recall(key);
  const absl::Duration start = clock_.Monotonic();
  if (known && start - known->resolved <= options_.fresh_for) co_return known->model;
  pb::ResolveModelVersionRequest request;
  request.set_parent(absl::StrCat("teams/", scope.caller.team));
  request.set_reference(reference);
  auto method = [this](grpc::ClientContext* context, const pb::ResolveModelVersionRequest* ask,
                       pb::ModelVersion* answer, std::function<void(grpc::Status)> done) {
    registry_->async()->ResolveModelVersion(context, ask, answer, std::move(done));
  };
  const absl::StatusOr<pb::ModelVersion> version = co_await CallUnary<pb::ModelVersion>(
      OutgoingFor(scope, kResolveTime), std::move(request), std::move(method));
  if (absl::IsUnavailable(version.status()) && known &&
      start - known->resolved <= options_.stale_for) {
    co_return known->model;
  }
  if (!version.ok()) co_return version.status();
  absl::StatusOr<ResolvedModel> model = FromProto(*version);
  if (model.ok()) Remember(key, *model);
  co_return model;
}

Awaitable<absl::StatusOr<std::vector<ModelSummary>>> RegistryModels::List(const CallScope& scope) {
  auto method = [this](grpc::ClientContext* context, const pb::ListModelsRequest* ask,
                       pb::ListModelsResponse* answer, std::function<void(grpc::Status)> done) {
    registry_->async()->ListModels(context, ask, answer, std::move(done));
  };
  std::vector<ModelSummary> models;
  pb::ListModelsRequest request;
  request.set_parent(absl::StrCat("teams/", scope.caller.team));
  request.set_page_size(kPageSize);
  do {
    const absl::StatusOr<pb::ListModelsResponse> page = co_await CallUnary<pb::ListModelsResponse>(
        OutgoingFor(scope, kResolveTime), request, method);
    if (!page.ok()) co_return page.status();
    for (const pb::Model& model : page->models()) {
      for (ModelSummary& entry : Askable(model)) models.push_back(std::move(entry));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && models.size() < kMaxListed);
  co_return models;
}

}  // namespace floe::gateway
