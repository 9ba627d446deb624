// floe-bench-gateway: requests/s and latency through the gateway, against the same worker called
// directly over gRPC. The worker is a fake that answers at once, so that what is measured is the
// way there and back; everything, clients included, shares this machine and this process. Prints
// the rows of bench/README.md.
//
// floe-bench-gateway --serve: the same gateway for another load generator, until standard input
// ends. The model is `hamlet`, the key `floe-consumer`.
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "nlohmann/json.hpp"

#include "bench/gateway/nginx_proxy.h"
#include "bench/program/program.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "gateway/cache/redis/redis_cache.h"
#include "gateway/limits/redis/redis_limits.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/money/till.h"
#include "tests/support/redis.h"

namespace floe::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr double kWarmUpSeconds = 0.3;
constexpr double kSeconds = 2.5;
constexpr int kManyClients = 16;
constexpr int kStreamTokens = 64;

struct Result {
  double per_second = 0;
  double p50_ms = 0;
  double p95_ms = 0;
  double p99_ms = 0;
  int64_t failed = 0;
};

double Percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1;
  return sorted[std::min(at, sorted.size() - 1)];
}

// A client's loop body: one request; false when it failed.
using Ask = std::function<bool()>;

// `clients` threads, each with an Ask of its own, one request after the other.
Result Measure(int clients, const std::function<Ask()>& connect) {
  std::vector<std::vector<double>> times(static_cast<size_t>(clients));
  std::atomic<int64_t> failed{0};
  const auto start = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(kWarmUpSeconds));
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kSeconds));
  std::vector<std::thread> threads;
  for (auto& mine : times) {
    threads.emplace_back([&, ask = connect()] {
      for (auto before = Clock::now(); before < end;) {
        if (!ask()) ++failed;
        const auto after = Clock::now();
        if (before >= start) {
          mine.push_back(std::chrono::duration<double, std::milli>(after - before).count());
        }
        before = after;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& mine : times) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  return {static_cast<double>(all.size()) / kSeconds, Percentile(all, 0.5), Percentile(all, 0.95),
          Percentile(all, 0.99), failed};
}

std::string Body(int tokens, bool stream, int64_t seed = 1, bool search = false) {
  Json body = {{"model", "hamlet"},
               {"messages", {{{"role", "user"}, {"content", "To be, or not to be?"}}}},
               {"max_tokens", tokens},
               {"seed", seed},
               {"stream", stream}};
  if (search) body["floe"]["retrieval"]["collection"] = "handbook";
  return body.dump();
}

// `body` gives each request's; it is called by one client at a time.
Result OverHttp(int port, int clients, const std::function<std::string()>& body) {
  return Measure(clients, [&]() -> Ask {
    auto client = std::make_shared<HttpClient>(port);  // shared by copies of the function
    return [client, body] { return client->Post("/v1/chat/completions", body()).status == 200; };
  });
}

Result ThroughGateway(const FakeFleet& fleet, int clients, int tokens, bool stream) {
  const std::string body = Body(tokens, stream);
  return OverHttp(fleet.port(), clients, [&body] { return body; });
}

Result Directly(const FakeFleet& fleet, const std::string& digest, int clients, int tokens) {
  inference::v1::GenerateRequest request;
  request.set_checkpoint_digest(digest);
  for (int i = 0; i < 42; ++i) request.add_prompt_ids(static_cast<uint32_t>(i));
  request.set_max_tokens(tokens);
  request.mutable_sampling()->set_seed(1);
  const auto stub = inference::v1::InferenceService::NewStub(fleet.WorkerChannel());
  return Measure(clients, [&]() -> Ask {
    return [&] {
      grpc::ClientContext context;
      const auto stream = stub->Generate(&context, request);
      inference::v1::GenerateResponse piece;
      while (stream->Read(&piece)) {
      }
      return stream->Finish().ok() && piece.has_finish();
    };
  });
}

void AddRow(Json& rows, const std::string& work, const char* unit, double ours, Json peer,
            const char* peer_name = "the worker directly") {
  rows.push_back({{"work", work},
                  {"ours", ours},
                  {"unit", unit},
                  {"peer", std::move(peer)},
                  {"peer_name", peer_name},
                  {"limit", nullptr}});
}

// Every rule that there is, and limits that are counted and never reached.
constexpr char kPolicy[] = R"(
defaults:
  limits: {requests_per_minute: 1000000000, tokens_per_minute: 1000000000000, concurrent: 1000}
  cache: {enabled: true}
  workflow: {max_steps: 1000000}
  input: &rules
    - {detector: email, action: mask}
    - {detector: phone, action: mask}
    - {detector: iban, action: mask}
    - {detector: card, action: block}
    - {detector: secret, action: block}
    - {detector: injection, action: block}
    - {words: [blue falcon, red heron], name: projects, action: block}
    - {pattern: 'EMP-[0-9]{6}', name: employee, max_length: 10, action: mask}
  output: *rules
)";

struct Peers {
  Result direct;
  std::optional<Result> proxy;
};

void AddGoverned(Json& rows, const std::string& work, const Result& ours, const Peers& peers) {
  const char* name = peers.proxy ? "nginx, a plain proxy" : "nginx (not installed)";
  const auto beside = [&](double Result::*figure) {
    return peers.proxy ? Json(*peers.proxy.*figure) : Json();
  };
  AddRow(rows, work, "requests/s", ours.per_second, beside(&Result::per_second), name);
  for (const auto& [what, figure] :
       {std::pair{"p50", &Result::p50_ms}, {"p95", &Result::p95_ms}, {"p99", &Result::p99_ms}}) {
    AddRow(rows, absl::StrCat(work, ", ", what), "ms", ours.*figure, beside(figure), name);
    AddRow(rows, absl::StrCat(work, ", ", what, " added to the worker's"), "ms",
           ours.*figure - peers.direct.*figure, Json());
  }
}

// With everything on: limits and cache in Redis, all rules both ways, price, budget, and a usage
// record that is on disk before the last byte, all delivered to a floe-billing on Postgres
// meanwhile; beside nginx, which only passes on.
int64_t MeasureGoverned(Json& rows, const FakeFleetOptions& plain) {
  BillingProcess billing;
  billing.CreateBudget("bench", int64_t{1} << 60);
  Till till(billing);
  test::Redis redis;
  redis::Client client({.address = {.socket = redis.socket()}});
  limits::RedisLimits limits(client, {.gateway_id = "bench"});
  cache::RedisCache cache(client);
  FakeFleetOptions options = plain;
  options.money = till.ports();
  options.policy = kPolicy;
  options.counting = &limits;
  options.cache = &cache;
  FakeFleet fleet(options);
  const int port = fleet.port();
  // Seeds that no request had before: the cache is asked and has nothing.
  std::atomic<int64_t> seed{1};
  const auto fresh = [&seed] { return Body(1, false, ++seed); };
  const auto searching = [&seed] { return Body(1, false, ++seed, /*search=*/true); };
  const auto repeated = [] { return Body(1, false, 0); };
  const std::string clients = absl::StrCat(kManyClients, " clients");

  const std::string work = "chat, everything on, " + clients;
  std::cerr << work << "\n";
  const Result ours = OverHttp(port, kManyClients, fresh);
  Peers peers{Directly(fleet, fleet.registry().digest(), kManyClients, 1), std::nullopt};
  const std::string answer = HttpClient(port).Post("/v1/chat/completions", repeated()).body;
  if (const auto nginx = NginxProxy::Start(answer)) {
    peers.proxy = OverHttp(nginx->port(), kManyClients, fresh);
  }
  AddGoverned(rows, work, ours, peers);
  int64_t failed = ours.failed + peers.direct.failed + (peers.proxy ? peers.proxy->failed : 0);
  for (const auto& [what, body] : {std::pair<const char*, std::function<std::string()>>{
                                       "the same, from the cache, ", repeated},
                                   {"the same, with a search each, ", searching}}) {
    std::cerr << what << clients << "\n";
    const Result more = OverHttp(port, kManyClients, body);
    failed += more.failed;
    AddRow(rows, what + clients, "requests/s", more.per_second, Json());
    AddRow(rows, what + clients + ", p99", "ms", more.p99_ms, Json());
  }
  if (!till.Flush()) std::cerr << "usage was not delivered within 30 s\n";
  return failed;
}

absl::Status Run() {
  FakeFleetOptions options;
  options.http_threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  FakeFleet fleet(options);
  const std::string& digest = fleet.registry().digest();
  Json rows = Json::array();
  int64_t failed = 0;
  for (const int clients : {1, kManyClients}) {
    std::cerr << "chat, 1 token, " << clients << " clients\n";
    const Result ours = ThroughGateway(fleet, clients, 1, false);
    const Result peer = Directly(fleet, digest, clients, 1);
    const std::string work =
        absl::StrCat("chat of 1 token, ", clients, clients == 1 ? " client" : " clients");
    AddRow(rows, work, "requests/s", ours.per_second, peer.per_second);
    AddRow(rows, absl::StrCat(work, ", p50"), "ms", ours.p50_ms, peer.p50_ms);
    AddRow(rows, absl::StrCat(work, ", p99"), "ms", ours.p99_ms, peer.p99_ms);
    failed += ours.failed + peer.failed;
  }
  std::cerr << "streams of " << kStreamTokens << " tokens, " << kManyClients << " clients\n";
  const Result ours = ThroughGateway(fleet, kManyClients, kStreamTokens, true);
  const Result peer = Directly(fleet, digest, kManyClients, kStreamTokens);
  failed += ours.failed + peer.failed;
  AddRow(rows, absl::StrCat("streams of ", kStreamTokens, " tokens, ", kManyClients, " clients"),
         "tokens/s", ours.per_second * kStreamTokens, peer.per_second * kStreamTokens);
  failed += MeasureGoverned(rows, options);
  if (failed > 0) return absl::InternalError(absl::StrCat(failed, " requests failed"));
  std::cout << Json{{"rows", std::move(rows)}}.dump() << "\n";
  return absl::OkStatus();
}

absl::Status Serve() {
  const FakeFleet fleet;
  std::cout << "http://127.0.0.1:" << fleet.port() << "/v1" << std::endl;
  while (std::cin.get() != std::char_traits<char>::eof()) {
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::gateway

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the services do
  bool serve = false;
  CLI::App app("Requests a second and latency through the gateway", "floe-bench-gateway");
  app.add_flag("--serve", serve,
               "Instead: the same gateway for another load generator, until standard input ends");
  return floe::bench::Main(app, argc, argv,
                           [&] { return serve ? floe::gateway::Serve() : floe::gateway::Run(); });
}
