#include "services/registry/service.h"

#include <memory>

#include "absl/strings/str_cat.h"

#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "registry/attest.h"
#include "registry/blob_access.h"
#include "registry/blobs/folder_store.h"
#include "registry/collect.h"
#include "registry/postgres/artifacts.h"
#include "registry/postgres/blob_index.h"
#include "registry/postgres/evidence.h"
#include "registry/postgres/migrations_sql.h"
#include "registry/postgres/models.h"
#include "registry/promote.h"
#include "registry/publish.h"
#include "services/registry/blob_rpc.h"
#include "services/registry/registry_rpc.h"
#include "services/runtime/host.h"

namespace floe::registry {
namespace {

absl::Status CheckOptions(const ServiceOptions& options) {
  if (options.database_url.empty()) {
    return absl::InvalidArgumentError(
        "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
  }
  if (options.blob_dir.empty()) {
    return absl::InvalidArgumentError("blob-dir is missing: give the folder of the blobs");
  }
  if (options.collect_grace < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("collect-grace must not be negative");
  }
  if (options.collect_dry_run && !options.collect) {
    return absl::InvalidArgumentError("collect-dry-run goes with --collect");
  }
  return absl::OkStatus();
}

absl::Status CollectOnce(const ServiceOptions& options, runtime::Host& host, BlobStore& store,
                         BlobIndex& index) {
  Collect collect(store, index, host.clock());
  FLOE_ASSIGN_OR_RETURN(const CollectReport report,
                        collect.Run({options.collect_grace, options.collect_dry_run}));
  for (const Blob& blob : report.removed) {
    host.logger().Info(options.collect_dry_run ? "would remove blob" : "removed blob",
                       {{"digest", blob.digest}, {"bytes", blob.size_bytes}});
  }
  host.logger().Info("collected", {{"blobs", static_cast<int64_t>(report.removed.size())},
                                   {"bytes", report.removed_bytes},
                                   {"unfinished_uploads", report.unfinished},
                                   {"dry_run", options.collect_dry_run}});
  return absl::OkStatus();
}

// A runner publishes what its jobs made, and moves no alias; the others only read.
runtime::PeerRules Peers() {
  const std::vector<std::string> reading = {
      "registry.GetDataset",      "registry.GetTokenizer",        "registry.GetModel",
      "registry.GetModelVersion", "registry.ResolveModelVersion", "registry.GetBlob",
      "registry.DownloadBlob"};
  std::vector<std::string> publishing = {"registry.CreateTokenizer", "registry.CreateModelVersion",
                                         "registry.CreateEvaluation", "registry.UploadBlob"};
  publishing.insert(publishing.end(), reading.begin(), reading.end());
  return {{"gateway", {"*"}},     {"runner", publishing}, {"inference", reading},
          {"retrieval", reading}, {"tokenizer", reading}, {"trainer", reading},
          {"alignment", reading}};
}

}  // namespace

void AddOptions(ServiceOptions& options, runtime::Config& config) {
  config.AddCommon(options.common);
  config.AddSecret("database-url", options.database_url, "Postgres connection string");
  config.Add("blob-dir", options.blob_dir, "Folder of the content-addressed store");
  config.Add("collect", options.collect, "Remove blobs that nothing references, then exit");
  config.Add("collect-dry-run", options.collect_dry_run, "With --collect: only say what would go");
  config.Add("collect-grace", options.collect_grace,
             "With --collect: leave blobs alone that were sent within this time");
  config.AddCheck([&options] { return CheckOptions(options); });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host,
                        runtime::Host::Create("registry", options.common, config, Peers()));
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-registry"}));
  FLOE_RETURN_IF_ERROR(postgres::Migrate(*pool, "registry", Migrations()));
  if (options.common.migrate_only) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(auto store, FolderStore::Open(options.blob_dir));
  PostgresBlobIndex index(*pool);
  if (options.collect) return CollectOnce(options, *host, *store, index);

  PostgresArtifacts artifacts(*pool);
  PostgresModels models(*pool);
  BlobAccess blobs(*store, index, host->clock());
  Publish publish({*store, index, artifacts, models, host->clock()});
  Promote promote(models, host->clock());
  PostgresEvaluations evaluations(*pool);
  PostgresGates gates(*pool);
  Attest attest({evaluations, gates, artifacts, host->clock()});
  RegistryRpc registry({host->calls(), publish, promote, artifacts, models, attest, evaluations,
                        gates, host->clock()});
  BlobRpc blob_rpc(host->calls(), blobs);
  host->AddReadyCheck("postgres", [&] { return pool->Ping(); });
  return host->Serve({&registry, &blob_rpc});
}

}  // namespace floe::registry
