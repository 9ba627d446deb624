#include "services/registry/registry_rpc.h"

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "services/registry/caller_of.h"
#include "services/registry/convert.h"
#include "services/registry/internal/requests.h"

namespace floe::registry {
namespace {

using internal::KeyOf;
using internal::ListQuery;
using internal::QueryOf;
using runtime::CallContext;

}  // namespace

grpc::Status RegistryRpc::CreateDataset(grpc::ServerContext* context,
                                        const v1::CreateDatasetRequest* request,
                                        v1::Dataset* answer) {
  return parts_.calls.Run(
      *context, "registry.CreateDataset", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(*request));
        Dataset dataset;
        FLOE_ASSIGN_OR_RETURN(dataset.name.team, ParseTeam(request->parent()));
        dataset.name.id = request->dataset_id();
        dataset.blob.digest = request->dataset().digest();
        dataset.format = request->dataset().format();
        dataset.documents = request->dataset().documents();
        dataset.description = request->dataset().description();
        FLOE_ASSIGN_OR_RETURN(dataset, parts_.publish.CreateDataset(CallerOf(call), std::move(key),
                                                                    std::move(dataset)));
        *answer = ToProto(dataset);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::GetDataset(grpc::ServerContext* context,
                                     const v1::GetDatasetRequest* request, v1::Dataset* answer) {
  return parts_.calls.Run(*context, "registry.GetDataset", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const RevisionName name, ParseDataset(request->name()));
    FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.name.team, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Dataset dataset, parts_.artifacts.GetDataset(name));
    *answer = ToProto(dataset);
    return absl::OkStatus();
  });
}

grpc::Status RegistryRpc::ListDatasets(grpc::ServerContext* context,
                                       const v1::ListDatasetsRequest* request,
                                       v1::ListDatasetsResponse* answer) {
  return parts_.calls.Run(
      *context, "registry.ListDatasets", [&](CallContext& call) -> absl::Status {
        std::string list;
        FLOE_ASSIGN_OR_RETURN(const ListQuery query, QueryOf(call, *request, "datasets", list));
        FLOE_ASSIGN_OR_RETURN(const auto listed,
                              parts_.artifacts.ListDatasets(query.team, query.page));
        for (const Dataset& dataset : listed.items) *answer->add_datasets() = ToProto(dataset);
        answer->set_next_page_token(PageToken(list, listed.next));
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::CreateTokenizer(grpc::ServerContext* context,
                                          const v1::CreateTokenizerRequest* request,
                                          v1::Tokenizer* answer) {
  return parts_.calls.Run(
      *context, "registry.CreateTokenizer", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(*request));
        TokenizerRevision tokenizer;
        FLOE_ASSIGN_OR_RETURN(tokenizer.name.team, ParseTeam(request->parent()));
        tokenizer.name.id = request->tokenizer_id();
        tokenizer.digest = request->tokenizer().digest();
        tokenizer.config_digest = request->tokenizer().config_digest();
        tokenizer.vocab_size = request->tokenizer().vocab_size();
        tokenizer.dataset_digest = request->tokenizer().dataset_digest();
        tokenizer.job = request->tokenizer().job();
        tokenizer.bytes_per_token = request->tokenizer().bytes_per_token();
        FLOE_ASSIGN_OR_RETURN(tokenizer, parts_.publish.CreateTokenizer(
                                             CallerOf(call), std::move(key), std::move(tokenizer)));
        *answer = ToProto(tokenizer);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::GetTokenizer(grpc::ServerContext* context,
                                       const v1::GetTokenizerRequest* request,
                                       v1::Tokenizer* answer) {
  return parts_.calls.Run(
      *context, "registry.GetTokenizer", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const RevisionName name, ParseTokenizer(request->name()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.name.team, request->name()));
        FLOE_ASSIGN_OR_RETURN(const TokenizerRevision found, parts_.artifacts.GetTokenizer(name));
        *answer = ToProto(found);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::ListTokenizers(grpc::ServerContext* context,
                                         const v1::ListTokenizersRequest* request,
                                         v1::ListTokenizersResponse* answer) {
  return parts_.calls.Run(
      *context, "registry.ListTokenizers", [&](CallContext& call) -> absl::Status {
        std::string list;
        FLOE_ASSIGN_OR_RETURN(const ListQuery query, QueryOf(call, *request, "tokenizers", list));
        FLOE_ASSIGN_OR_RETURN(const auto listed,
                              parts_.artifacts.ListTokenizers(query.team, query.page));
        for (const auto& tokenizer : listed.items) *answer->add_tokenizers() = ToProto(tokenizer);
        answer->set_next_page_token(PageToken(list, listed.next));
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::ListModels(grpc::ServerContext* context,
                                     const v1::ListModelsRequest* request,
                                     v1::ListModelsResponse* answer) {
  return parts_.calls.Run(*context, "registry.ListModels", [&](CallContext& call) -> absl::Status {
    std::string list;
    FLOE_ASSIGN_OR_RETURN(const ListQuery query, QueryOf(call, *request, "models", list));
    FLOE_ASSIGN_OR_RETURN(const auto listed, parts_.models.ListModels(query.team, query.page));
    for (const Model& model : listed.items) *answer->add_models() = ToProto(model);
    answer->set_next_page_token(PageToken(list, listed.next));
    return absl::OkStatus();
  });
}

grpc::Status RegistryRpc::GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request,
                                   v1::Model* answer) {
  return parts_.calls.Run(*context, "registry.GetModel", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const OwnedName name, ParseModel(request->name()));
    FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.team, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Model model, parts_.models.GetModel(name));
    *answer = ToProto(model);
    return absl::OkStatus();
  });
}

grpc::Status RegistryRpc::CreateModelVersion(grpc::ServerContext* context,
                                             const v1::CreateModelVersionRequest* request,
                                             v1::ModelVersion* answer) {
  return parts_.calls.Run(
      *context, "registry.CreateModelVersion", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(RequestKey key, KeyOf(*request));
        VersionDraft draft;
        FLOE_ASSIGN_OR_RETURN(draft.model, ParseModel(request->parent()));
        draft.manifest = request->model_version().manifest();
        draft.job = request->model_version().lineage().job();
        for (const auto& [name, value] : request->model_version().metrics()) {
          draft.metrics[name] = value;
        }
        FLOE_ASSIGN_OR_RETURN(const ModelVersion version,
                              parts_.publish.CreateVersion(CallerOf(call), std::move(key), draft));
        *answer = ToProto(version);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::GetModelVersion(grpc::ServerContext* context,
                                          const v1::GetModelVersionRequest* request,
                                          v1::ModelVersion* answer) {
  return parts_.calls.Run(
      *context, "registry.GetModelVersion", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const VersionName name, ParseVersion(request->name()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.model.team, request->name()));
        FLOE_ASSIGN_OR_RETURN(const ModelVersion version, parts_.models.GetVersion(name));
        *answer = ToProto(version);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::ListModelVersions(grpc::ServerContext* context,
                                            const v1::ListModelVersionsRequest* request,
                                            v1::ListModelVersionsResponse* answer) {
  return parts_.calls.Run(
      *context, "registry.ListModelVersions", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const OwnedName model, ParseModel(request->parent()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), model.team, request->parent()));
        const std::string list = request->parent() + "/versions";
        FLOE_ASSIGN_OR_RETURN(const Page page,
                              ParsePage(list, request->page_size(), request->page_token()));
        FLOE_ASSIGN_OR_RETURN(const auto listed, parts_.models.ListVersions(model, page));
        for (const auto& version : listed.items) *answer->add_model_versions() = ToProto(version);
        answer->set_next_page_token(PageToken(list, listed.next));
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::ResolveModelVersion(grpc::ServerContext* context,
                                              const v1::ResolveModelVersionRequest* request,
                                              v1::ModelVersion* answer) {
  return parts_.calls.Run(
      *context, "registry.ResolveModelVersion", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const std::string team, ParseTeam(request->parent()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), team, request->parent()));
        FLOE_ASSIGN_OR_RETURN(const Reference reference, ParseReference(request->reference()));
        FLOE_ASSIGN_OR_RETURN(const ModelVersion version, parts_.models.Resolve(team, reference));
        *answer = ToProto(version);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::DeleteModelVersion(grpc::ServerContext* context,
                                             const v1::DeleteModelVersionRequest* request,
                                             v1::DeleteModelVersionResponse*) {
  return parts_.calls.Run(
      *context, "registry.DeleteModelVersion", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
        FLOE_ASSIGN_OR_RETURN(const VersionName name, ParseVersion(request->name()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.model.team, request->name()));
        return parts_.models.DeleteVersion(key, name, parts_.clock.Now());
      });
}

grpc::Status RegistryRpc::SetAlias(grpc::ServerContext* context, const v1::SetAliasRequest* request,
                                   v1::Alias* answer) {
  return parts_.calls.Run(*context, "registry.SetAlias", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
    FLOE_ASSIGN_OR_RETURN(const AliasName name, ParseAlias(request->name()));
    FLOE_ASSIGN_OR_RETURN(const VersionName version, ParseVersion(request->version()));
    FLOE_ASSIGN_OR_RETURN(
        const Alias alias,
        parts_.promote.SetAlias(CallerOf(call), key, name, version,
                                {request->etag(), request->reason(), request->override()}));
    *answer = ToProto(alias);
    return absl::OkStatus();
  });
}

grpc::Status RegistryRpc::GetAlias(grpc::ServerContext* context, const v1::GetAliasRequest* request,
                                   v1::Alias* answer) {
  return parts_.calls.Run(*context, "registry.GetAlias", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const AliasName name, ParseAlias(request->name()));
    FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.model.team, request->name()));
    FLOE_ASSIGN_OR_RETURN(const Alias alias, parts_.models.GetAlias(name));
    *answer = ToProto(alias);
    return absl::OkStatus();
  });
}

}  // namespace floe::registry
