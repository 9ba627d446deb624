#include "services/runtime/side_server.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "base/view.h"
#include "services/runtime/status.h"

namespace floe::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::chrono::seconds kConnectionTimeout{10};

struct Answer {
  http::status status = http::status::ok;
  std::string body;
};

// One connection, kept alive between requests; owns itself through the callbacks that hold it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Respond = std::function<Answer(std::string_view target)>;
  Session(tcp::socket socket, const Respond& respond)
      : stream_(std::move(socket)), respond_(respond) {}

  void Read() {
    request_ = {};
    stream_.expires_after(kConnectionTimeout);
    http::async_read(stream_, buffer_, request_,
                     [self = shared_from_this()](beast::error_code error, size_t) {
                       if (!error) self->Write();
                     });
  }

 private:
  void Write() {
    const boost::core::string_view target = request_.target();
    Answer answer = respond_(std::string_view(target.data(), target.size()));
    response_ = {answer.status, request_.version()};
    response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response_.keep_alive(request_.keep_alive());
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, size_t) {
                        if (!error && self->response_.keep_alive()) self->Read();
                      });
  }

  beast::tcp_stream stream_;
  const Respond& respond_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
};

}  // namespace

struct SideServer::State {
  State(const Metrics& metrics, std::vector<Check> checks)
      : metrics(metrics), checks(std::move(checks)), acceptor(io) {}

  absl::Status Listen(const std::string& listen);
  void Accept();
  Answer Respond(std::string_view target) const;
  Answer Readiness() const;

  const Metrics& metrics;
  const std::vector<Check> checks;
  std::atomic<bool> ready{false};
  asio::io_context io;
  tcp::acceptor acceptor;
  Session::Respond respond = [this](std::string_view target) { return Respond(target); };
  std::thread thread;
};

absl::Status SideServer::State::Listen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("side address '", listen, "' is not host:port (--side-listen)"));
  }
  beast::error_code error;
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
        absl::StrCat("cannot listen on ", listen, ": ", error.message(), " (--side-listen)"));
  }
  return absl::OkStatus();
}

void SideServer::State::Accept() {
  acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) std::make_shared<Session>(std::move(socket), respond)->Read();
    Accept();
  });
}

Answer SideServer::State::Readiness() const {
  if (!ready) return {http::status::service_unavailable, "starting or draining\n"};
  std::string failures;
  for (const Check& check : checks) {
    const absl::Status status = check.check();
    if (!status.ok()) {
      absl::StrAppend(&failures, check.name, ": ", AbslView(CodeName(status.code())), ": ",
                      status.message(), "\n");
    }
  }
  if (!failures.empty()) return {http::status::service_unavailable, failures};
  return {http::status::ok, "ready\n"};
}

Answer SideServer::State::Respond(std::string_view target) const {
  target = target.substr(0, target.find('?'));
  if (target == "/metrics") return {http::status::ok, metrics.Exposition()};
  if (target == "/healthz") return {http::status::ok, "alive\n"};
  if (target == "/readyz") return Readiness();
  return {http::status::not_found, "here are /metrics, /healthz and /readyz\n"};
}

absl::StatusOr<std::unique_ptr<SideServer>> SideServer::Start(const std::string& listen,
                                                              const Metrics& metrics,
                                                              std::vector<Check> checks) {
  auto state = std::make_unique<State>(metrics, std::move(checks));
  if (absl::Status status = state->Listen(listen); !status.ok()) return status;
  state->Accept();
  state->thread = std::thread([io = &state->io] { io->run(); });
  return std::unique_ptr<SideServer>(new SideServer(std::move(state)));
}

SideServer::SideServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

SideServer::~SideServer() {
  state_->io.stop();
  state_->thread.join();
}

int SideServer::port() const { return state_->acceptor.local_endpoint().port(); }

void SideServer::SetReady(bool ready) { state_->ready = ready; }

}  // namespace floe::runtime
