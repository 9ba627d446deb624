#include "services/gateway/http/server.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/status_macros.h"
#include "services/gateway/http/connection.h"

namespace floe::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// After an accept that failed (no file descriptors left), before the next.
constexpr std::chrono::milliseconds kAcceptPause{50};

constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 154\r\n"
    "Retry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"message\":\"this server has as many connections as it takes; try again in a "
    "moment\",\"type\":\"unavailable_error\",\"param\":null,\"code\":\"overloaded\"}}";

}  // namespace

struct HttpServer::State {
  State(const Options& options, Parts parts)
      : options(options), parts(parts), acceptor(asio::make_strand(io)) {}

  absl::Status Listen();
  Awaitable<void> Accept();
  void Adopt(tcp::socket socket);
  void Remove(const std::shared_ptr<Connection>& connection);
  std::vector<std::shared_ptr<Connection>> All();
  bool WaitEmpty(absl::Duration timeout);
  // Each connection is shared by this list, its coroutine and its timers.
  using Connections = std::set<std::shared_ptr<Connection>>;

  const Options options;
  const Parts parts;
  asio::io_context io;
  tcp::acceptor acceptor;
  int port = 0;
  std::mutex mutex;
  std::condition_variable changed;
  Connections connections;  // guarded by mutex
  bool draining = false;    // guarded by mutex
  std::vector<std::thread> threads;
};

absl::Status HttpServer::State::Listen() {
  const std::string& listen = options.listen;
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("HTTP address '", listen, "' is not host:port (--http-listen)"));
  }
  error_code error;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(listen.substr(0, colon), listen.substr(colon + 1),
                                      tcp::resolver::passive, error);
  if (!error) {
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": ", error.message(), " (--http-listen)"));
  }
  port = acceptor.local_endpoint().port();
  return absl::OkStatus();
}

Awaitable<void> HttpServer::State::Accept() {
  while (acceptor.is_open()) {
    auto [error, socket] = co_await acceptor.async_accept(asio::make_strand(io), kTuple);
    if (!error) {
      Adopt(std::move(socket));
      continue;
    }
    if (error == asio::error::operation_aborted) co_return;
    parts.metrics.CountFailedAccept();
    parts.logger.Warning("cannot accept a connection", {{"error", error.message()}});
    asio::steady_timer pause(acceptor.get_executor(), kAcceptPause);
    co_await pause.async_wait(kTuple);
  }
}

void HttpServer::State::Adopt(tcp::socket socket) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex);
    if (draining) return;
    if (connections.size() < static_cast<size_t>(options.limits.max_connections)) {
      connection = std::make_shared<Connection>(std::move(socket), parts.handler, options.limits);
      connections.insert(connection);
    }
  }
  if (connection == nullptr) {
    parts.metrics.CountRefusedConnection();
    error_code ignored;  // a courtesy: what does not fit at once is dropped
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kTooMany.data(), kTooMany.size()), ignored);
    return;
  }
  parts.metrics.AddConnections(1);
  const auto executor = connection->executor();
  asio::co_spawn(
      executor,
      [this, connection]() -> Awaitable<void> {
        co_await connection->Run();
        Remove(connection);
      },
      asio::detached);
}

void HttpServer::State::Remove(const std::shared_ptr<Connection>& connection) {
  parts.metrics.AddConnections(-1);
  const std::lock_guard lock(mutex);
  connections.erase(connection);
  changed.notify_all();
}

std::vector<std::shared_ptr<Connection>> HttpServer::State::All() {
  const std::lock_guard lock(mutex);
  return {connections.begin(), connections.end()};
}

bool HttpServer::State::WaitEmpty(absl::Duration timeout) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                          [this] { return connections.empty(); });
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options, Parts parts) {
  auto state = std::make_unique<State>(options, parts);
  FLOE_RETURN_IF_ERROR(state->Listen());
  asio::co_spawn(state->acceptor.get_executor(), state->Accept(), asio::detached);
  auto server = std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
  for (int i = 0; i < options.threads; ++i) {
    server->state_->threads.emplace_back([io = &server->state_->io] {
      const auto work = asio::make_work_guard(*io);
      io->run();
    });
  }
  return server;
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  Drain(absl::ZeroDuration());
  state_->io.stop();
  for (std::thread& thread : state_->threads) thread.join();
}

int HttpServer::port() const { return state_->port; }

void HttpServer::BeginDrain() {
  {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->draining, true)) return;
  }
  asio::post(state_->acceptor.get_executor(), [state = state_.get()] {
    error_code ignored;
    state->acceptor.close(ignored);
  });
  const auto connections = state_->All();
  // Told to all before the first ends: nobody can see the drain and then get an answer without it.
  for (const auto& connection : connections) connection->AnnounceDrain();
  for (const auto& connection : connections) connection->Drain();
}

void HttpServer::Drain(absl::Duration grace) {
  BeginDrain();
  if (state_->WaitEmpty(grace)) return;
  for (const auto& connection : state_->All()) connection->Kill();
  // A killed connection ends as soon as its strand runs.
  while (!state_->WaitEmpty(absl::Seconds(1))) {
  }
}

}  // namespace floe::gateway
