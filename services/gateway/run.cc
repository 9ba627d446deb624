#include "services/gateway/run.h"

#include <prometheus/gauge.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <boost/asio/thread_pool.hpp>

#include "base/postgres/pool.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gateway/auth/postgres/key_repository.h"
#include "gateway/cache/redis/redis_cache.h"
#include "gateway/limits/redis/redis_limits.h"
#include "gateway/postgres/schema.h"
#include "gateway/redis/client.h"
#include "services/gateway/accounts.h"
#include "services/gateway/clients/key_lookup.h"
#include "services/gateway/clients/registry_models.h"
#include "services/gateway/clients/retrieval_client.h"
#include "services/gateway/clients/tokenizer_prompts.h"
#include "services/gateway/clients/worker_pool.h"
#include "services/gateway/door/door.h"
#include "services/gateway/http/api.h"
#include "services/gateway/http/server.h"
#include "services/gateway/keys_rpc.h"
#include "services/gateway/policy/policy_file.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"

namespace floe::gateway {
namespace {

// For the journal, when requests took all of the drain's time.
constexpr absl::Duration kLeastFlushTime = absl::Seconds(1);

uint64_t DrawSeed() {
  // Up to 2^53: what a JSON number can carry back without loss.
  return RandomBits() >> 11;
}

// Keys: the store, who remembers them, and the use cases.
struct Auth {
  std::unique_ptr<postgres::Pool> pool;
  std::unique_ptr<KeyStore> store;
  std::unique_ptr<Identifier> identifier;
  std::unique_ptr<Keys> keys;
};

absl::StatusOr<Auth> MakeAuth(const ServiceOptions& options, runtime::Host& host) {
  Auth auth;
  FLOE_ASSIGN_OR_RETURN(auth.pool, postgres::Pool::Create({.dsn = options.database_url,
                                                           .application_name = "floe-gateway"}));
  FLOE_RETURN_IF_ERROR(MigrateSchema(*auth.pool));
  auth.store = MakePostgresKeyStore(*auth.pool);
  auth.identifier = std::make_unique<Identifier>(*auth.store, host.clock());
  auth.keys =
      std::make_unique<Keys>(Keys::Parts{*auth.store, *auth.identifier, host.clock(), host.ids()});
  if (!options.bootstrap_key.empty()) {
    FLOE_RETURN_IF_ERROR(auth.keys->EnsureBootstrap(options.bootstrap_key));
  }
  return auth;
}

absl::StatusOr<std::vector<Worker>> MakeWorkers(const ServiceOptions& options) {
  std::vector<Worker> workers;
  for (const std::string& address : options.workers) {
    FLOE_ASSIGN_OR_RETURN(
        auto channel, runtime::MakeChannel(address, options.common.tls, options.common.insecure));
    workers.push_back({address, std::move(channel)});
  }
  return workers;
}

absl::StatusOr<std::unique_ptr<RetrievalClient>> MakeRetriever(const ServiceOptions& options) {
  std::shared_ptr<grpc::Channel> channel;
  if (!options.retrieval.empty()) {
    FLOE_ASSIGN_OR_RETURN(channel, runtime::MakeChannel(options.retrieval, options.common.tls,
                                                        options.common.insecure));
  }
  return std::make_unique<RetrievalClient>(channel);
}

// Limits and cache: in Redis, or without it.
struct Shared {
  std::unique_ptr<redis::Client> redis;
  std::unique_ptr<limits::RateLimits> limits;
  std::unique_ptr<cache::AnswerCache> cache;
};

absl::StatusOr<Shared> MakeShared(const ServiceOptions& options, runtime::Host& host) {
  Shared shared;
  if (options.redis_url.empty()) {
    host.logger().Warning("no redis-url: limits are not counted, and no answer is cached");
    shared.limits = std::make_unique<limits::UncountedLimits>();
    shared.cache = std::make_unique<cache::NoCache>();
    return shared;
  }
  redis::Client::Options client;
  FLOE_ASSIGN_OR_RETURN(client.address, redis::ParseAddress(options.redis_url));
  prometheus::Gauge& connected =
      host.metrics().Gauge("floe_gateway_redis_connected", "1 while Redis is there.");
  client.on_change = [&host, &connected, where = client.address.Shown()](const absl::Status& now) {
    connected.Set(now.ok() ? 1 : 0);
    if (now.ok()) {
      host.logger().Info("Redis is there", {{"redis", where}});
    } else {
      host.logger().Warning("Redis is away: limits are not counted, and no answer is cached",
                            {{"redis", where}, {"error", std::string(now.message())}});
    }
  };
  shared.redis = std::make_unique<redis::Client>(std::move(client));
  shared.limits = std::make_unique<limits::RedisLimits>(
      *shared.redis, limits::RedisLimits::Options{.gateway_id = host.ids().Next()});
  shared.cache = std::make_unique<cache::RedisCache>(*shared.redis);
  return shared;
}

// What stands behind the HTTP API. Members in the order of their making; each borrows from those
// above it.
struct Serving {
  boost::asio::thread_pool blocking;
  boost::asio::thread_pool tokenizing;
  std::unique_ptr<registry::RegistryClient> registry;
  std::unique_ptr<Tokenizers> tokenizers;
  std::unique_ptr<RegistryModels> models;
  std::unique_ptr<RetrievalClient> retriever;
  std::unique_ptr<TokenizerPrompts> prompts;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<IdentifierLookup> keys;
  std::unique_ptr<PolicyFile> policies;
  Shared shared;
  std::unique_ptr<Accounts> accounts;
  std::unique_ptr<Ports> ports;
  std::unique_ptr<GatewayMetrics> metrics;
  std::unique_ptr<Api> api;
  std::unique_ptr<HttpServer> http;

  explicit Serving(const ServiceOptions& options)
      : blocking(static_cast<size_t>(options.blocking_threads)),
        tokenizing(static_cast<size_t>(options.blocking_threads)) {}
  ~Serving() {
    http.reset();  // nothing asks the pools any more
    accounts.reset();
    blocking.join();
    tokenizing.join();
  }
};

absl::StatusOr<std::unique_ptr<Serving>> MakeServing(const ServiceOptions& options,
                                                     runtime::Host& host, Auth& auth) {
  auto serving = std::make_unique<Serving>(options);
  FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(options.registry, options.common.tls,
                                                           options.common.insecure));
  FLOE_ASSIGN_OR_RETURN(auto workers, MakeWorkers(options));
  HttpLimits limits = options.limits;
  limits.max_body_bytes = static_cast<size_t>(options.max_body_bytes);
  serving->registry = std::make_unique<registry::RegistryClient>(channel);
  serving->tokenizers = std::make_unique<Tokenizers>(
      *serving->registry, static_cast<size_t>(options.cached_tokenizers));
  serving->models = std::make_unique<RegistryModels>(channel, host.clock());
  FLOE_ASSIGN_OR_RETURN(serving->retriever, MakeRetriever(options));
  serving->prompts =
      std::make_unique<TokenizerPrompts>(*serving->tokenizers, serving->tokenizing, host.clock());
  serving->workers = std::make_unique<WorkerPool>(
      std::move(workers), WorkerPool::Parts{host.clock(), host.logger(), host.metrics()});
  serving->keys = std::make_unique<IdentifierLookup>(*auth.identifier, serving->blocking);
  FLOE_ASSIGN_OR_RETURN(serving->policies, PolicyFile::Load({.path = options.policy_file},
                                                            {host.logger(), host.metrics()}));
  FLOE_ASSIGN_OR_RETURN(serving->shared, MakeShared(options, host));
  FLOE_ASSIGN_OR_RETURN(serving->accounts,
                        Accounts::Open(options, host, *auth.pool, serving->blocking));
  serving->ports = std::make_unique<Ports>(Ports{.keys = *serving->keys,
                                                 .policies = *serving->policies,
                                                 .limits = *serving->shared.limits,
                                                 .models = *serving->models,
                                                 .retriever = *serving->retriever,
                                                 .prompts = *serving->prompts,
                                                 .cache = *serving->shared.cache,
                                                 .generator = *serving->workers,
                                                 .embedder = *serving->workers,
                                                 .prices = serving->accounts->prices(),
                                                 .budgets = serving->accounts->budgets(),
                                                 .steps = serving->accounts->steps(),
                                                 .usage = serving->accounts->usage(),
                                                 .draw_seed = DrawSeed,
                                                 .clock = host.clock(),
                                                 .background = serving->tokenizing.get_executor()});
  serving->metrics = std::make_unique<GatewayMetrics>(host.metrics());
  serving->api = std::make_unique<Api>(Api::Parts{*serving->ports, host.clock(), host.ids(),
                                                  host.logger(), *serving->metrics,
                                                  serving->tokenizing, limits.request_timeout});
  FLOE_ASSIGN_OR_RETURN(serving->http,
                        HttpServer::Start({options.http_listen, options.http_threads, limits},
                                          {*serving->api, *serving->metrics, host.logger()}));
  return serving;
}

absl::Status CheckOptions(const ServiceOptions& options) {
  if (options.database_url.empty()) {
    return absl::InvalidArgumentError(
        "database-url is missing: set FLOE_DATABASE_URL or give --database-url-file");
  }
  if (options.registry.empty()) {
    return absl::InvalidArgumentError("registry is missing: give --registry host:port");
  }
  if (!options.redis_url.empty()) {
    FLOE_RETURN_IF_ERROR(redis::ParseAddress(options.redis_url).status());
  }
  if (!options.billing.empty() && options.journal_dir.empty()) {
    return absl::InvalidArgumentError(
        "billing is given without --journal-dir, a folder where usage waits to be delivered");
  }
  if (options.http_threads < 1 || options.http_threads > 64 || options.blocking_threads < 1 ||
      options.blocking_threads > 256 || options.cached_tokenizers < 1) {
    return absl::InvalidArgumentError(
        "http-threads must be 1 to 64, blocking-threads 1 to 256, cached-tokenizers at least 1");
  }
  if (options.max_body_bytes < 1024 || options.limits.max_connections < 1) {
    return absl::InvalidArgumentError(
        "http-max-body-bytes must be at least 1024, http-max-connections at least 1");
  }
  return absl::OkStatus();
}

}  // namespace

void AddOptions(ServiceOptions& options, runtime::Config& config) {
  config.AddCommon(options.common);
  config.AddSecret("database-url", options.database_url, "Postgres connection string");
  config.AddSecret("bootstrap-key", options.bootstrap_key,
                   "Admin key of the team default, stored by its hash when it is new");
  config.AddSecret("redis-url", options.redis_url,
                   "redis://[:password@]host[:port][/database] or the path of a socket; without it "
                   "limits are not counted and no answer is cached");
  config.Add("policy-file", options.policy_file,
             "YAML: what is allowed, limited and looked for (docs/policy.md); read again when it "
             "changes; without it everything is allowed");
  config.Add("http-listen", options.http_listen, "OpenAI-compatible HTTP, host:port");
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.Add("tokenizer", options.tokenizer, "Address of floe-tokenizer, host:port");
  config.Add("trainer", options.trainer, "Address of floe-trainer, host:port");
  config.Add("alignment", options.alignment, "Address of floe-alignment, host:port");
  config.Add("workers", options.workers, "Addresses of floe-inference workers");
  config.Add("retrieval", options.retrieval, "Address of floe-retrieval, host:port");
  config.Add("billing", options.billing, "Address of floe-billing; without it nothing is charged");
  config.Add("journal-dir", options.journal_dir, "Folder of usage that is not delivered yet");
  config.Add("http-threads", options.http_threads, "Threads of the HTTP server");
  config.Add("blocking-threads", options.blocking_threads,
             "Threads for key look-ups, and as many for tokenizers and long prompts");
  config.Add("cached-tokenizers", options.cached_tokenizers, "How many tokenizers stay in memory");
  HttpLimits& limits = options.limits;
  config.Add("http-max-body-bytes", options.max_body_bytes, "Longest request body");
  config.Add("http-max-connections", limits.max_connections, "HTTP connections at once");
  config.Add("http-idle-timeout", limits.idle_timeout, "Between requests of a connection");
  config.Add("http-header-timeout", limits.header_timeout, "For a request's headers to arrive");
  config.Add("http-body-timeout", limits.body_timeout, "For a request's body to arrive");
  config.Add("http-write-timeout", limits.write_timeout, "For a client that takes nothing");
  config.Add("request-timeout", limits.request_timeout, "From a request to its answer's end");
  config.AddCheck([&options] { return CheckOptions(options); });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("gateway", options.common, config));
  FLOE_ASSIGN_OR_RETURN(Auth auth, MakeAuth(options, *host));
  if (options.common.migrate_only) return absl::OkStatus();
  host->AddReadyCheck("postgres", [&auth] { return auth.pool->Ping(); });
  FLOE_ASSIGN_OR_RETURN(const auto serving, MakeServing(options, *host, auth));
  host->AddReadyCheck("billing", [&serving] { return serving->accounts->Ready(); });
  KeysRpc keys_rpc(host->calls(), *auth.keys);
  const DoorBackends backends{.registry = options.registry,
                              .tokenizer = options.tokenizer,
                              .trainer = options.trainer,
                              .alignment = options.alignment,
                              .billing = options.billing,
                              .workers = options.workers,
                              .retrieval = options.retrieval};
  FLOE_ASSIGN_OR_RETURN(const auto door,
                        Door::Start(options.common, backends,
                                    {host->calls(), *auth.identifier, host->ids(), {&keys_rpc}}));
  host->AddPort("grpc", door->port());
  host->AddPort("http", serving->http->port());
  absl::Time drain_end;
  host->OnDrain([&] {
    drain_end = absl::Now() + options.common.drain_grace;
    serving->http->BeginDrain();
  });
  door->SetServing(true);
  const absl::Status status = host->Serve({});
  // Both had their time together; what the door used is not given to HTTP again.
  door->Drain(drain_end);
  serving->http->Drain(drain_end - absl::Now());
  serving->accounts->Flush(std::max(drain_end - absl::Now(), kLeastFlushTime));
  return status;
}

}  // namespace floe::gateway
