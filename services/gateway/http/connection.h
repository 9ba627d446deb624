// One client's connection: requests read one after the other, each answered before the next.
//
// While a request is answered the connection goes on reading, for two reasons: what a client sends
// ahead (pipelining) is kept, up to a limit, and a client that hangs up is noticed at once, which
// cancels the work behind its request.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "services/gateway/http/deadline.h"
#include "services/gateway/http/exchange.h"
#include "services/gateway/http/limits.h"

namespace floe::gateway {

// Everything runs on the socket's strand. Borrows the handler and the limits. Shared by its
// coroutine, its timers and the server's list.
class Connection final : public HttpReply, public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, HttpHandler& handler, const HttpLimits& limits);

  // Serves until either side ends it. Never throws.
  Awaitable<void> Run();

  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

  // From any thread. AnnounceDrain: the request under way is the last one, and its answer says so.
  // Drain: that, and an idle connection ends. Kill: ends at once.
  void AnnounceDrain() { draining_ = true; }
  void Drain();
  void Kill();

  Awaitable<absl::Status> Send(HttpHead head, std::string body) override;
  Awaitable<absl::Status> BeginStream(HttpHead head, std::string data) override;
  Awaitable<absl::Status> SendPiece(std::string data) override;
  Awaitable<absl::Status> EndStream(std::string data) override;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Read { kRequest, kRefused, kClosed };

  Awaitable<void> RunRequests();
  Awaitable<Read> ReadRequest(Parser& parser, absl::Status& refusal);
  Awaitable<bool> WaitForFirstByte();
  Awaitable<void> Serve(Parser& parser);
  Awaitable<void> HandleGuarded(HttpRequest request);
  Awaitable<void> WatchForHangup();
  Awaitable<void> CloseAfterRefusal(const absl::Status& refusal);
  Awaitable<absl::Status> Write(std::string_view first, std::string_view second);
  std::string HeadText(const HttpHead& head, std::string_view framing) const;
  // The reads under way end with operation_aborted after `after`, and timed_out_ is set.
  void LimitReading(absl::Duration after);

  boost::asio::ip::tcp::socket socket_;
  HttpHandler& handler_;
  const HttpLimits& limits_;
  boost::beast::flat_buffer buffer_;
  Deadline reading_;
  Deadline writing_;
  Deadline whole_request_;
  boost::asio::steady_timer parked_;  // never expires; cancelled by Kill

  std::atomic<bool> draining_{false};
  bool idle_ = false;
  bool timed_out_ = false;
  bool hung_up_ = false;  // the client's end was read: reading again would wait for nothing

  // Of the request under way.
  bool keep_alive_ = false;
  bool chunked_ = false;   // HTTP/1.1: streams are chunked; HTTP/1.0: they end with the connection
  bool answered_ = false;  // a whole answer was sent
};

}  // namespace floe::gateway
