// The methods of RegistryRpc that are about evidence and gates; the others stand in
// registry_rpc.cc.
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "services/registry/caller_of.h"
#include "services/registry/convert.h"
#include "services/registry/internal/requests.h"
#include "services/registry/registry_rpc.h"

namespace floe::registry {
namespace {

using internal::KeyOf;
using internal::ListQuery;
using internal::QueryOf;
using runtime::CallContext;

Evaluation EvaluationOf(const v1::Evaluation& message) {
  Evaluation evaluation;
  evaluation.model_digest = message.model_digest();
  evaluation.tokenizer_digest = message.tokenizer_digest();
  evaluation.template_digest = message.template_digest();
  evaluation.dataset_digest = message.dataset_digest();
  evaluation.task = message.task();
  for (const auto& [name, value] : message.metrics()) evaluation.metrics[name] = value;
  evaluation.examples = message.examples();
  evaluation.tokens = message.tokens();
  evaluation.job = message.job();
  evaluation.report = message.report();
  return evaluation;
}

absl::Status CheckFilter(std::string_view field, const std::string& digest) {
  return digest.empty() ? absl::OkStatus() : CheckDigest(field, digest);
}

}  // namespace

grpc::Status RegistryRpc::CreateEvaluation(grpc::ServerContext* context,
                                           const v1::CreateEvaluationRequest* request,
                                           v1::Evaluation* answer) {
  return parts_.calls.Run(
      *context, "registry.CreateEvaluation", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
        Evaluation evaluation = EvaluationOf(request->evaluation());
        FLOE_ASSIGN_OR_RETURN(evaluation.team, ParseTeam(request->parent()));
        FLOE_ASSIGN_OR_RETURN(evaluation,
                              parts_.attest.Create(CallerOf(call), key, std::move(evaluation)));
        *answer = ToProto(evaluation);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::GetEvaluation(grpc::ServerContext* context,
                                        const v1::GetEvaluationRequest* request,
                                        v1::Evaluation* answer) {
  return parts_.calls.Run(
      *context, "registry.GetEvaluation", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const OwnedName name, ParseEvaluation(request->name()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), name.team, request->name()));
        FLOE_ASSIGN_OR_RETURN(const Evaluation found, parts_.evaluations.Get(name.team, name.id));
        *answer = ToProto(found);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::ListEvaluations(grpc::ServerContext* context,
                                          const v1::ListEvaluationsRequest* request,
                                          v1::ListEvaluationsResponse* answer) {
  return parts_.calls.Run(
      *context, "registry.ListEvaluations", [&](CallContext& call) -> absl::Status {
        std::string list;
        FLOE_ASSIGN_OR_RETURN(const ListQuery query, QueryOf(call, *request, "evaluations", list));
        FLOE_RETURN_IF_ERROR(CheckFilter("model_digest", request->model_digest()));
        FLOE_RETURN_IF_ERROR(CheckFilter("dataset_digest", request->dataset_digest()));
        FLOE_ASSIGN_OR_RETURN(const auto listed,
                              parts_.evaluations.List(query.team, request->model_digest(),
                                                      request->dataset_digest(), query.page));
        for (const Evaluation& one : listed.items) {
          *answer->add_evaluations() = ToProto(one);
          answer->mutable_evaluations()->rbegin()->clear_report();  // Get has it: it may be long
        }
        answer->set_next_page_token(PageToken(list, listed.next));
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::SetGatePolicy(grpc::ServerContext* context,
                                        const v1::SetGatePolicyRequest* request,
                                        v1::GatePolicy* answer) {
  return parts_.calls.Run(
      *context, "registry.SetGatePolicy", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const RequestKey key, KeyOf(*request));
        FLOE_ASSIGN_OR_RETURN(const OwnedName model, ParseGatePolicy(request->name()));
        FLOE_ASSIGN_OR_RETURN(
            const GatePolicy policy,
            parts_.attest.SetPolicy(CallerOf(call), key, model, request->policy()));
        *answer = ToProto(policy);
        return absl::OkStatus();
      });
}

grpc::Status RegistryRpc::GetGatePolicy(grpc::ServerContext* context,
                                        const v1::GetGatePolicyRequest* request,
                                        v1::GatePolicy* answer) {
  return parts_.calls.Run(
      *context, "registry.GetGatePolicy", [&](CallContext& call) -> absl::Status {
        FLOE_ASSIGN_OR_RETURN(const OwnedName model, ParseGatePolicy(request->name()));
        FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), model.team, request->name()));
        FLOE_ASSIGN_OR_RETURN(const GatePolicy policy, parts_.gates.Get(model));
        *answer = ToProto(policy);
        return absl::OkStatus();
      });
}

}  // namespace floe::registry
