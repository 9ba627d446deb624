// floe.registry.v1.RegistryService: protobuf in, domain call, protobuf out.
#pragma once

#include "base/clock.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "registry/attest.h"
#include "registry/ports.h"
#include "registry/promote.h"
#include "registry/publish.h"
#include "services/runtime/call.h"

namespace floe::registry {

// Thread-safe. Borrows its parts. Every method is scoped by the caller's team.
class RegistryRpc final : public v1::RegistryService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    Publish& publish;
    Promote& promote;
    Artifacts& artifacts;
    Models& models;
    Attest& attest;
    Evaluations& evaluations;
    Gates& gates;
    const Clock& clock;
  };
  explicit RegistryRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status CreateDataset(grpc::ServerContext* context, const v1::CreateDatasetRequest* request,
                             v1::Dataset* answer) override;
  grpc::Status GetDataset(grpc::ServerContext* context, const v1::GetDatasetRequest* request,
                          v1::Dataset* answer) override;
  grpc::Status ListDatasets(grpc::ServerContext* context, const v1::ListDatasetsRequest* request,
                            v1::ListDatasetsResponse* answer) override;
  grpc::Status CreateTokenizer(grpc::ServerContext* context,
                               const v1::CreateTokenizerRequest* request,
                               v1::Tokenizer* answer) override;
  grpc::Status GetTokenizer(grpc::ServerContext* context, const v1::GetTokenizerRequest* request,
                            v1::Tokenizer* answer) override;
  grpc::Status ListTokenizers(grpc::ServerContext* context,
                              const v1::ListTokenizersRequest* request,
                              v1::ListTokenizersResponse* answer) override;
  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* answer) override;
  grpc::Status GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request,
                        v1::Model* answer) override;
  grpc::Status CreateModelVersion(grpc::ServerContext* context,
                                  const v1::CreateModelVersionRequest* request,
                                  v1::ModelVersion* answer) override;
  grpc::Status GetModelVersion(grpc::ServerContext* context,
                               const v1::GetModelVersionRequest* request,
                               v1::ModelVersion* answer) override;
  grpc::Status ListModelVersions(grpc::ServerContext* context,
                                 const v1::ListModelVersionsRequest* request,
                                 v1::ListModelVersionsResponse* answer) override;
  grpc::Status ResolveModelVersion(grpc::ServerContext* context,
                                   const v1::ResolveModelVersionRequest* request,
                                   v1::ModelVersion* answer) override;
  grpc::Status DeleteModelVersion(grpc::ServerContext* context,
                                  const v1::DeleteModelVersionRequest* request,
                                  v1::DeleteModelVersionResponse* answer) override;
  grpc::Status SetAlias(grpc::ServerContext* context, const v1::SetAliasRequest* request,
                        v1::Alias* answer) override;
  grpc::Status GetAlias(grpc::ServerContext* context, const v1::GetAliasRequest* request,
                        v1::Alias* answer) override;
  grpc::Status CreateEvaluation(grpc::ServerContext* context,
                                const v1::CreateEvaluationRequest* request,
                                v1::Evaluation* answer) override;
  grpc::Status GetEvaluation(grpc::ServerContext* context, const v1::GetEvaluationRequest* request,
                             v1::Evaluation* answer) override;
  grpc::Status ListEvaluations(grpc::ServerContext* context,
                               const v1::ListEvaluationsRequest* request,
                               v1::ListEvaluationsResponse* answer) override;
  grpc::Status SetGatePolicy(grpc::ServerContext* context, const v1::SetGatePolicyRequest* request,
                             v1::GatePolicy* answer) override;
  grpc::Status GetGatePolicy(grpc::ServerContext* context, const v1::GetGatePolicyRequest* request,
                             v1::GatePolicy* answer) override;

 private:
  const Parts parts_;
};

}  // namespace floe::registry
