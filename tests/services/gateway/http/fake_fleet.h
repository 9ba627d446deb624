// What stands behind a gateway, in this process: a registry with one model, workers whose behaviour
// a test writes, keys; and the gateway's HTTP server in front of them, on ports of the system's
// choice.
#pragma once

#include <grpcpp/server.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "floe/inference/v1/inference.grpc.pb.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "gateway/unaccounted.h"
#include "services/gateway/clients/registry_models.h"
#include "services/gateway/clients/retrieval_client.h"
#include "services/gateway/clients/tokenizer_prompts.h"
#include "services/gateway/clients/worker_pool.h"
#include "services/gateway/http/api.h"
#include "services/gateway/http/server.h"

namespace floe::gateway {

inline constexpr int64_t kFakeContext = 512;
inline constexpr char kFakeTeam[] = "nlp";

// A tokenizer of bytes, with ChatML's special tokens at 256, 257 and 258.
std::string ByteTokenizerJson();

// `teams/nlp/models/hamlet`, version 1, alias production. Thread-safe.
class FakeRegistry final : public registry::v1::RegistryService::Service,
                           public registry::v1::BlobService::Service {
 public:
  // The model's chat template is ChatML where `chat_template` is empty.
  explicit FakeRegistry(const std::string& chat_template = "");
  std::string digest() const;
  // From now on the version is that checkpoint.
  void Publish(const std::filesystem::path& checkpoint);
  int resolves() const;
  int downloads() const;
  std::string last_traceparent() const;
  // What every call answers while it is not OK.
  void SetAway(grpc::Status away);
  // That team has a model hamlet too: the same checkpoint.
  void ShareWith(const std::string& team);

  grpc::Status ResolveModelVersion(grpc::ServerContext* context,
                                   const registry::v1::ResolveModelVersionRequest* request,
                                   registry::v1::ModelVersion* answer) override;
  grpc::Status ListModels(grpc::ServerContext* context,
                          const registry::v1::ListModelsRequest* request,
                          registry::v1::ListModelsResponse* answer) override;
  grpc::Status DownloadBlob(
      grpc::ServerContext* context, const registry::v1::DownloadBlobRequest* request,
      grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) override;

 private:
  // Both with mutex_ held.
  void AddFile(const std::string& name, const std::string& bytes);
  void SetManifest(const std::string& bytes);

  mutable std::mutex mutex_;
  registry::v1::ModelVersion version_;         // guarded by mutex_
  std::map<std::string, std::string> blobs_;   // guarded by mutex_
  grpc::Status away_;                          // guarded by mutex_
  std::set<std::string> teams_ = {kFakeTeam};  // guarded by mutex_
  int resolves_ = 0;                           // guarded by mutex_
  int downloads_ = 0;                          // guarded by mutex_
  std::string last_traceparent_;               // guarded by mutex_
};

// Answers by a function of the request. Thread-safe.
class FakeWorker final : public inference::v1::InferenceService::Service {
 public:
  using Writer = grpc::ServerWriter<inference::v1::GenerateResponse>;
  using Behaviour = std::function<grpc::Status(grpc::ServerContext&,
                                               const inference::v1::GenerateRequest&, Writer&)>;

  // At first: one letter a token, a function of seed and position, up to max_tokens.
  FakeWorker();
  void Behave(Behaviour behaviour);
  // What it does at first.
  static Behaviour Usual();
  static char LetterAt(uint64_t seed, int index);
  // Sends `text`, then waits for the cancellation that it counts.
  static Behaviour HangAfter(std::string text);
  // Sends text without end; counted when the stream breaks.
  static Behaviour Flood(size_t bytes_a_piece);

  std::vector<inference::v1::GenerateRequest> requests() const;
  std::vector<inference::v1::EmbedRequest> embeds() const;
  // What every Embed answers while it is not OK; else (first id, number of ids) of each sequence.
  void RefuseEmbeds(grpc::Status refusal);
  // The receipt of each Embed that it answers.
  void SignEmbeds(std::string receipt);
  // Whether that many calls have been seen, or have ended by cancellation, within 20 s.
  bool WaitForCalls(int count);
  bool WaitForCancelled(int count);

  grpc::Status Generate(grpc::ServerContext* context, const inference::v1::GenerateRequest* request,
                        Writer* writer) override;
  grpc::Status Embed(grpc::ServerContext* context, const inference::v1::EmbedRequest* request,
                     inference::v1::EmbedResponse* answer) override;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  grpc::Status embed_refusal_;                            // guarded by mutex_
  std::string embed_receipt_;                             // guarded by mutex_
  std::vector<inference::v1::EmbedRequest> embeds_;       // guarded by mutex_
  Behaviour behaviour_;                                   // guarded by mutex_
  std::vector<inference::v1::GenerateRequest> requests_;  // guarded by mutex_
  int cancelled_ = 0;                                     // guarded by mutex_
};

class FakeKeys final : public KeyLookup {
 public:
  Awaitable<absl::StatusOr<Identity>> Identify(std::string_view secret) override;
  // From now on the key does not work, for that reason: KEY_REVOKED, KEY_EXPIRED.
  void Fail(std::string_view secret, std::string_view reason);

 private:
  std::mutex mutex_;
  std::map<std::string, absl::Status, std::less<>> failing_;  // guarded by mutex_
};
// Keys that FakeKeys knows.
inline constexpr char kConsumerKey[] = "floe-consumer";
inline constexpr char kViewerKey[] = "floe-viewer";
inline constexpr char kOtherTeamKey[] = "floe-other";

// A policy that a test changes. Thread-safe.
class FakePolicies final : public Policies {
 public:
  FakePolicies() { Set(""); }
  // YAML, which must be right.
  void Set(std::string_view text);
  std::shared_ptr<const policy::Policy> Current() const override {
    const std::lock_guard lock(mutex_);
    return policy_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const policy::Policy> policy_;  // guarded by mutex_; shared with requests
};

// Says the same passages to every question of the team's collection `handbook`. Thread-safe.
class FakeRetrieval final : public retrieval::v1::RetrievalService::Service {
 public:
  // What every search answers while it is not OK.
  void SetAway(grpc::Status away);
  std::vector<retrieval::v1::SearchRequest> requests() const;

  grpc::Status Search(grpc::ServerContext* context, const retrieval::v1::SearchRequest* request,
                      retrieval::v1::SearchResponse* answer) override;

 private:
  mutable std::mutex mutex_;
  grpc::Status away_;                                   // guarded by mutex_
  std::vector<retrieval::v1::SearchRequest> requests_;  // guarded by mutex_
};
inline constexpr char kFakePassage[] = "Elsinore is a castle.";

// Borrowed; null: everything is free.
struct MoneyPorts {
  const Prices* prices = nullptr;
  Budgets* budgets = nullptr;
  WorkflowSteps* steps = nullptr;
  UsageLog* usage = nullptr;
};

struct FakeFleetOptions {
  int workers = 1;
  std::vector<std::string> worker_addresses;  // of real ones, instead
  std::string checkpoint;                     // a folder: the version; empty: a made-up one
  std::string registry_address;               // of a real one, instead
  std::string policy;                         // YAML
  limits::RateLimits* counting = nullptr;     // borrowed; null: nothing is counted
  cache::AnswerCache* cache = nullptr;        // borrowed; null: nothing is kept
  HttpLimits limits;
  int http_threads = 2;
  RegistryModels::Options models;
  bool retrieval = true;
  MoneyPorts money;
  std::string chat_template;                                    // of the model; empty: ChatML
  Pause pause = PauseByTimer;                                   // of answers that find no worker
  std::function<uint64_t()> draw = [] { return uint64_t{0}; };  // what spreads them
};

// The whole: servers started, and ended in order.
class FakeFleet {
 public:
  explicit FakeFleet(const FakeFleetOptions& options = {});
  ~FakeFleet();

  FakeRegistry& registry() { return registry_; }
  FakeRetrieval& retrieval() { return retrieval_; }
  FakeWorker& worker(size_t index = 0) { return *workers_[index]; }
  // Ends a worker's server at once.
  void StopWorker(size_t index) {
    worker_servers_[index]->Shutdown(std::chrono::system_clock::now());
  }
  std::shared_ptr<grpc::Channel> WorkerChannel(size_t index = 0) const { return channels_[index]; }
  HttpServer& http() { return *http_; }
  int port() const { return http_->port(); }
  int registry_port() const { return registry_port_; }
  int worker_port(size_t index = 0) const { return worker_ports_[index]; }
  std::string metrics() const { return metrics_.Exposition(); }
  FakePolicies& policies() { return policies_; }
  FakeKeys& keys() { return keys_; }
  // The audit records until now.
  std::vector<std::string> audit() const;

 private:
  void StartWorkers(const FakeFleetOptions& options);
  void KeepAudit(std::string_view line);

  SystemClock clock_;
  UlidGenerator ids_{clock_};
  mutable std::mutex log_mutex_;
  std::vector<std::string> log_;  // guarded by log_mutex_: lines that are no events
  runtime::Logger logger_{"gateway", runtime::LogLevel::kError,
                          [this](std::string_view line) { KeepAudit(line); }};
  runtime::Metrics metrics_;
  FakeRegistry registry_;
  FakeRetrieval retrieval_;
  std::vector<std::unique_ptr<FakeWorker>> workers_;
  std::unique_ptr<grpc::Server> registry_server_;
  int registry_port_ = 0;  // of retrieval too
  std::vector<int> worker_ports_;
  std::vector<std::unique_ptr<grpc::Server>> worker_servers_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  boost::asio::thread_pool pool_{2};
  FakeKeys keys_;
  FakePolicies policies_;
  limits::UncountedLimits uncounted_;
  cache::NoCache no_cache_;
  Unaccounted free_;
  std::unique_ptr<registry::RegistryClient> registry_client_;
  std::unique_ptr<Tokenizers> tokenizers_;
  std::unique_ptr<RegistryModels> models_;
  std::unique_ptr<RetrievalClient> retriever_;
  std::unique_ptr<TokenizerPrompts> prompts_;
  std::unique_ptr<WorkerPool> worker_pool_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<GatewayMetrics> gateway_metrics_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace floe::gateway
