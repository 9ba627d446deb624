#include "gateway/auth/role_table.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::gateway {
namespace {

constexpr std::nullopt_t kInternal = std::nullopt;

// Metadata is for viewers; bytes of data and weights (DownloadBlob) are for those who make models.
constexpr auto kRules = std::to_array<MethodRule>({
    {"/floe.billing.v1.BudgetService/CreateBudget", Role::kAdmin},
    {"/floe.billing.v1.BudgetService/GetBudget", Role::kViewer},
    {"/floe.billing.v1.BudgetService/ListBudgets", Role::kViewer},
    {"/floe.billing.v1.BudgetService/ListApplicableBudgets", kInternal},
    {"/floe.billing.v1.BudgetService/UpdateBudget", Role::kAdmin},
    {"/floe.billing.v1.BudgetService/DeleteBudget", Role::kAdmin},
    {"/floe.billing.v1.BudgetService/AcquireSlice", kInternal},
    {"/floe.billing.v1.BudgetService/RenewSlice", kInternal},
    {"/floe.billing.v1.BudgetService/ReturnSlice", kInternal},
    {"/floe.billing.v1.BudgetService/ListSlices", Role::kViewer},
    {"/floe.billing.v1.BudgetService/WriteOffSlice", Role::kAdmin},
    {"/floe.billing.v1.PriceBookService/CreatePriceBook", Role::kAdmin},
    {"/floe.billing.v1.PriceBookService/GetPriceBook", Role::kViewer},
    {"/floe.billing.v1.PriceBookService/ListPriceBooks", Role::kViewer},
    {"/floe.billing.v1.PriceBookService/GetEffectivePriceBook", Role::kViewer},
    {"/floe.billing.v1.QuoteService/Quote", Role::kViewer},
    {"/floe.billing.v1.ReportService/QueryReport", Role::kViewer},
    {"/floe.billing.v1.ReportService/ExportFocus", Role::kViewer},
    {"/floe.billing.v1.ReportService/ExplainUsage", Role::kViewer},
    {"/floe.billing.v1.ReportService/GetWorkflowTree", Role::kViewer},
    {"/floe.billing.v1.ReportService/VerifyUsage", Role::kViewer},
    {"/floe.billing.v1.ReportService/GetInvoice", Role::kViewer},
    {"/floe.billing.v1.ReportService/IssueInvoice", Role::kAdmin},
    {"/floe.billing.v1.ReportService/Plan", Role::kViewer},
    {"/floe.billing.v1.ReportService/CreateTrainingCost", Role::kAdmin},
    {"/floe.billing.v1.ReportService/QueryJobUsage", Role::kViewer},
    {"/floe.billing.v1.ReportService/QueryTrainingCost", Role::kViewer},
    {"/floe.billing.v1.UsageService/IngestUsage", kInternal},
    {"/floe.billing.v1.UsageService/IngestAttempts", kInternal},
    {"/floe.billing.v1.UsageService/IngestJobUsage", kInternal},

    {"/floe.gateway.v1.KeyService/CreateKey", Role::kAdmin},
    {"/floe.gateway.v1.KeyService/GetKey", Role::kAdmin},
    {"/floe.gateway.v1.KeyService/ListKeys", Role::kAdmin},
    {"/floe.gateway.v1.KeyService/RevokeKey", Role::kAdmin},
    {"/floe.gateway.v1.KeyService/GetCaller", Role::kViewer},

    // A worker asks nobody whose the checkpoint is: people come over HTTP, through every stage.
    {"/floe.inference.v1.InferenceService/Generate", kInternal},
    {"/floe.inference.v1.InferenceService/Score", kInternal},
    {"/floe.inference.v1.InferenceService/Embed", kInternal},
    {"/floe.inference.v1.InferenceService/GetWorkerStatus", Role::kViewer},
    {"/floe.inference.v1.InferenceService/LoadCheckpoint", kInternal},
    {"/floe.inference.v1.InferenceService/UnloadCheckpoint", kInternal},

    {"/floe.jobs.v1.JobService/CreateJob", Role::kDeveloper},
    {"/floe.jobs.v1.JobService/GetJob", Role::kViewer},
    {"/floe.jobs.v1.JobService/ListJobs", Role::kViewer},
    {"/floe.jobs.v1.JobService/WatchJob", Role::kViewer, true},
    {"/floe.jobs.v1.JobService/CancelJob", Role::kDeveloper},
    {"/floe.jobs.v1.JobService/PauseJob", Role::kDeveloper},
    {"/floe.jobs.v1.JobService/ResumeJob", Role::kDeveloper},
    {"/floe.jobs.v1.JobService/ListJobMetrics", Role::kViewer},
    {"/floe.jobs.v1.LeaseService/AcquireLease", kInternal},
    {"/floe.jobs.v1.LeaseService/Heartbeat", kInternal},
    {"/floe.jobs.v1.LeaseService/FinishAttempt", kInternal},

    {"/floe.registry.v1.RegistryService/CreateDataset", Role::kDeveloper},
    {"/floe.registry.v1.RegistryService/GetDataset", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ListDatasets", Role::kViewer},
    {"/floe.registry.v1.RegistryService/CreateTokenizer", Role::kDeveloper},
    {"/floe.registry.v1.RegistryService/GetTokenizer", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ListTokenizers", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ListModels", Role::kViewer},
    {"/floe.registry.v1.RegistryService/GetModel", Role::kViewer},
    {"/floe.registry.v1.RegistryService/CreateModelVersion", Role::kDeveloper},
    {"/floe.registry.v1.RegistryService/GetModelVersion", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ListModelVersions", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ResolveModelVersion", Role::kViewer},
    {"/floe.registry.v1.RegistryService/DeleteModelVersion", Role::kDeveloper},
    {"/floe.registry.v1.RegistryService/SetAlias", Role::kDeveloper},
    {"/floe.registry.v1.RegistryService/GetAlias", Role::kViewer},
    // Evidence comes from the runner, not from those whose model it judges.
    {"/floe.registry.v1.RegistryService/CreateEvaluation", kInternal},
    {"/floe.registry.v1.RegistryService/GetEvaluation", Role::kViewer},
    {"/floe.registry.v1.RegistryService/ListEvaluations", Role::kViewer},
    {"/floe.registry.v1.RegistryService/SetGatePolicy", Role::kAdmin},
    {"/floe.registry.v1.RegistryService/GetGatePolicy", Role::kViewer},
    {"/floe.registry.v1.BlobService/UploadBlob", Role::kDeveloper},
    {"/floe.registry.v1.BlobService/DownloadBlob", Role::kDeveloper},
    {"/floe.registry.v1.BlobService/GetBlob", Role::kViewer},
    {"/floe.registry.v1.BlobService/VerifyBlob", Role::kDeveloper},

    {"/floe.retrieval.v1.RetrievalService/CreateCollection", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/GetCollection", Role::kViewer},
    {"/floe.retrieval.v1.RetrievalService/ListCollections", Role::kViewer},
    {"/floe.retrieval.v1.RetrievalService/UpdateCollection", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/DeleteCollection", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/IngestDocuments", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/GetDocument", Role::kViewer},
    {"/floe.retrieval.v1.RetrievalService/ListDocuments", Role::kViewer},
    {"/floe.retrieval.v1.RetrievalService/ReadDocument", Role::kConsumer},
    {"/floe.retrieval.v1.RetrievalService/DeleteDocument", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/ListChunks", Role::kConsumer},
    {"/floe.retrieval.v1.RetrievalService/Search", Role::kDeveloper},
    {"/floe.retrieval.v1.RetrievalService/EvaluateCollection", Role::kDeveloper},

    {"/floe.tokenizer.v1.TokenizerService/Encode", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/StreamEncode", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/Decode", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/Count", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/BatchEncode", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/BatchDecode", Role::kConsumer},
    {"/floe.tokenizer.v1.TokenizerService/BatchCount", Role::kConsumer},
});

}  // namespace

std::span<const MethodRule> MethodRules() { return kRules; }

const MethodRule* FindMethodRule(std::string_view method) {
  const auto found = std::find_if(kRules.begin(), kRules.end(),
                                  [&](const MethodRule& rule) { return rule.method == method; });
  return found == kRules.end() ? nullptr : &*found;
}

absl::Status Authorize(const Identity& identity, std::string_view method) {
  const MethodRule* rule = FindMethodRule(method);
  if (rule == nullptr) {
    return WithReason(absl::UnimplementedError(
                          absl::StrCat("this fleet has no method ", AbslView(method.substr(0, 200)),
                                       "; is the client newer than the gateway?")),
                      "METHOD_UNKNOWN");
  }
  if (!rule->least) {
    return WithReason(absl::PermissionDeniedError(absl::StrCat(
                          AbslView(method), " is between services; no API key may call it")),
                      "METHOD_INTERNAL", {{"method", std::string(method)}});
  }
  return RequireRole(identity, *rule->least, method);
}

absl::Status RequireRole(const Identity& identity, Role least, std::string_view what) {
  if (identity.role >= least) return absl::OkStatus();
  const std::string needed(RoleName(least));
  const std::string has(RoleName(identity.role));
  return WithReason(
      absl::PermissionDeniedError(absl::StrCat(
          AbslView(what), " needs the role ", needed, "; this key of team ", identity.team, " is ",
          has, ". Ask an admin of the team for a key with that role")),
      "ROLE_TOO_LOW", {{"role", has}, {"needed", needed}, {"method", std::string(what)}});
}

}  // namespace floe::gateway
