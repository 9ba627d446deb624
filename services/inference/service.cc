#include "services/inference/service.h"

#include <algorithm>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/engine/kernels.h"
#include "services/inference/attempt_log.h"
#include "services/inference/blob_source.h"
#include "services/inference/inference_metrics.h"
#include "services/inference/inference_rpc.h"
#include "services/inference/model_pool.h"
#include "services/inference/node_cache.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"

namespace floe::inference {
namespace {

constexpr absl::Duration kFlushTime = absl::Seconds(3);
// Of the grace, for calls to finish by themselves; the rest is for handing over those that did not.
constexpr double kFinishingPart = 0.75;
constexpr absl::Duration kBlobDeadline = absl::Minutes(10);
// For calls that are about to be refused, that load, or that only look.
constexpr int64_t kSpareThreads = 256;
constexpr int64_t kMostThreads = 32'768;  // as many as Linux gives a process by default

absl::StatusOr<std::unique_ptr<BlobSource>> MakeBlobSource(const ServiceOptions& options) {
  if (!options.blob_dir.empty()) return MakeFolderBlobSource(options.blob_dir);
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  return MakeRegistryBlobSource(std::move(channel), kBlobDeadline);
}

// Null when no records are kept.
absl::StatusOr<std::unique_ptr<AttemptLog>> MakeAttemptLog(const ServiceOptions& options,
                                                           runtime::Host& host) {
  if (options.journal_dir.empty()) return nullptr;
  std::shared_ptr<grpc::Channel> billing;  // a channel is shared with its calls
  if (!options.billing.empty()) {
    FLOE_ASSIGN_OR_RETURN(billing, runtime::MakeChannel(options.billing, options.common.tls,
                                                        options.common.insecure));
  }
  return AttemptLog::Open(options.journal_dir, billing,
                          {host.clock(), host.ids(), host.logger(), host.metrics()});
}

absl::StatusOr<ModelPoolOptions> PoolOptions(const ServiceOptions& options) {
  ModelPoolOptions pool;
  FLOE_ASSIGN_OR_RETURN(pool.serve.device,
                        ChooseDevice(options.device, options.dtype, CudaStatus()));
  const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  pool.serve.engine.num_threads = options.threads > 0 ? options.threads : machine;
  pool.serve.engine.kv_bytes = options.kv_mib << 20;
  pool.serve.engine.max_step_tokens = options.max_step_tokens;
  FLOE_ASSIGN_OR_RETURN(pool.serve.engine.kv_type, ParseKvType(options.kv_dtype));
  pool.serve.scheduler.plan = {options.max_running, options.max_step_tokens,
                               options.prefill_tokens};
  pool.serve.scheduler.plan.guaranteed_share = {options.flex_share, options.default_share,
                                                options.priority_share};
  pool.serve.scheduler.targets = options.targets;
  pool.serve.scheduler.speculation.max_draft = options.draft_tokens;
  pool.serve.scheduler.queue = {options.max_waiting, options.max_waiting_tokens};
  pool.memory_bytes = options.memory_mib << 20;
  pool.drafts = options.draft_models;
  return pool;
}

absl::Status CheckOptions(const ServiceOptions& options) {
  if (options.blob_dir.empty() == options.registry.empty()) {
    return absl::InvalidArgumentError(
        "give either --blob-dir (a shared folder of blobs) or --registry (host:port)");
  }
  if (options.cache_dir.empty()) {
    return absl::InvalidArgumentError(
        "give --cache-dir, a folder of this machine to keep models in");
  }
  if (options.max_running < 1 || options.max_running > options.max_step_tokens ||
      options.max_step_tokens > 8192 || options.prefill_tokens < 1 || options.draft_tokens < 0 ||
      options.draft_tokens > 64) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max-running is ", options.max_running, ", max-step-tokens ", options.max_step_tokens,
        ", prefill-tokens ", options.prefill_tokens, ", draft-tokens ", options.draft_tokens,
        "; they must be positive, a step must hold all that run, at most 8192, and "
        "guesses are at most 64"));
  }
  if (!options.draft_models.empty() && options.draft_tokens == 0) {
    return absl::InvalidArgumentError(
        "draft-models are given and draft-tokens is 0: nothing would be guessed");
  }
  if (!options.billing.empty() && options.journal_dir.empty()) {
    return absl::InvalidArgumentError(
        "billing is given without --journal-dir, a folder where attempts wait to be reported");
  }
  if (options.flex_share < 0 || options.default_share < 0 || options.priority_share < 0 ||
      options.flex_share + options.default_share + options.priority_share >= 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("flex-share is ", options.flex_share, ", default-share ",
                     options.default_share, " and priority-share ", options.priority_share,
                     "; they are parts of the work, together below 1"));
  }
  if (options.memory_mib < 1 || options.kv_mib < 1 || options.kv_mib > options.memory_mib ||
      options.max_waiting < 1 || options.max_waiting_tokens < 1 || options.threads < 0) {
    return absl::InvalidArgumentError(
        "memory-mib, kv-mib (not above memory-mib), max-waiting and max-waiting-tokens must be "
        "positive, threads not negative");
  }
  const int64_t most_waiting = (kMostThreads - kSpareThreads - options.max_running) / 2;
  if (options.max_waiting > most_waiting) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max-waiting is ", options.max_waiting,
        "; each call that waits holds a thread, so it must be at most ", most_waiting));
  }
  FLOE_RETURN_IF_ERROR(ParseKvType(options.kv_dtype).status());
  return ChooseDevice(options.device, options.dtype, CudaStatus()).status();
}

// Prompts come through the gateway's stages; retrieval embeds and evaluates, jobs score.
runtime::PeerRules Peers() {
  return {{"gateway", {"*"}},
          {"retrieval", {"inference.Embed", "inference.Score"}},
          {"runner", {"inference.Score"}}};
}

}  // namespace

void AddOptions(ServiceOptions& options, runtime::Config& config) {
  config.AddCommon(options.common);
  config.Add("blob-dir", options.blob_dir, "Shared folder of the content-addressed store");
  config.Add("registry", options.registry, "Registry to stream blobs from, where none is shared");
  config.Add("cache-dir", options.cache_dir, "Folder of verified checkpoints on this machine");
  config.Add("billing", options.billing, "Address of floe-billing, for reports of attempts");
  config.Add("journal-dir", options.journal_dir, "Folder of attempts that are not reported yet");
  config.Add("preload", options.preload, "Digests of checkpoints to load before serving");
  config.Add("device", options.device,
             "What computes: cpu; cuda; auto, which is cuda where there is such a device");
  config.Add("dtype", options.dtype,
             "Of weights, keys and values on a CUDA device: f32, bf16 or f16");
  config.Add(
      "kv-dtype", options.kv_dtype,
      "Of keys and values on the CPU: f32; f16; auto, which is f16 beside weights in 8 bits");
  config.Add("threads", options.threads, "Threads that compute; 0: all of the machine's");
  config.Add("memory-mib", options.memory_mib, "Budget of weights and KV caches together");
  config.Add("kv-mib", options.kv_mib, "KV cache of one model");
  config.Add("max-running", options.max_running, "Sequences computed at once, a model");
  config.Add("max-step-tokens", options.max_step_tokens, "Tokens of one step");
  config.Add("prefill-tokens", options.prefill_tokens,
             "Most prompt tokens of a step beside decoders");
  config.Add("draft-tokens", options.draft_tokens,
             "Guesses of the next ids that a step checks for one sequence; 0: none");
  config.Add("draft-models", options.draft_models,
             "Digests of small models that guess for larger ones of the same tokenizer, where "
             "the sequence itself suggests nothing");
  config.Add("max-waiting", options.max_waiting, "Requests in the queue of a model");
  config.Add("max-waiting-tokens", options.max_waiting_tokens, "Prompt tokens in that queue");
  for (const ServiceTier tier : {ServiceTier::kDefault, ServiceTier::kPriority}) {
    TierTarget& target = options.targets.tiers[static_cast<size_t>(tier)];
    const std::string name(TierName(tier));
    config.Add(name + "-first-token", target.first_token, "Target of the tier: first token");
    config.Add(name + "-per-token", target.per_output_token,
               "Target of the tier: each further token, on average");
  }
  config.Add("flex-share", options.flex_share, "Part of the work that flex is sure of");
  config.Add("default-share", options.default_share, "Part of the work that default is sure of");
  config.Add("priority-share", options.priority_share, "Part of the work that priority is sure of");
  config.AddCheck([&options] { return CheckOptions(options); });
}

// A model takes its KV cache at the least. Calls may also wait for a model to be loaded.
int ServerThreads(const ServiceOptions& options) {
  const int64_t models = options.memory_mib / options.kv_mib;
  const int64_t needed =
      models * (options.max_running + options.max_waiting) + options.max_waiting + kSpareThreads;
  return std::max(options.common.max_threads, static_cast<int>(std::min(needed, kMostThreads)));
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  runtime::CommonOptions common = options.common;
  common.max_threads = ServerThreads(options);
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("inference", common, config, Peers()));
  FLOE_ASSIGN_OR_RETURN(auto blobs, MakeBlobSource(options));
  NodeCache cache(options.cache_dir, std::move(blobs));
  FLOE_ASSIGN_OR_RETURN(ModelPoolOptions pool_options, PoolOptions(options));
  pool_options.on_lost_draft = [&host](const absl::Status& status) {
    host->logger().Warning("served without a draft model", {{"why", status.ToString()}});
  };
  ModelPool pool(cache, host->clock(), pool_options);
  host->logger().Info("engine", {{"device", pool_options.serve.device.cuda ? "cuda" : "cpu"},
                                 {"kernels", KernelTarget()}});
  for (const std::string& digest : options.preload) {
    FLOE_ASSIGN_OR_RETURN(const auto model, pool.Acquire(digest, [] { return false; }));
    host->logger().Info("loaded", {{"digest", digest}, {"parameters", model->parameters}});
  }
  InferenceMetrics metrics(host->metrics(), pool);
  FLOE_ASSIGN_OR_RETURN(const auto attempts, MakeAttemptLog(options, *host));
  InferenceRpc rpc(host->calls(), host->clock(), pool, metrics, attempts.get());
  host->OnDrain(
      [&] { rpc.EndBy(host->clock().Now() + options.common.drain_grace * kFinishingPart); });
  const absl::Status status = host->Serve({&rpc});
  if (attempts != nullptr) attempts->Flush(kFlushTime);
  return status;
}

}  // namespace floe::inference
