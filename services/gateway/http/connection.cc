#include "services/gateway/http/connection.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>

#include "base/error_reason.h"
#include "base/view.h"
#include "services/gateway/http/request_target.h"

namespace floe::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 16 << 10;
// A refused client may still be sending: so much of it is read and dropped, for so long, before the
// socket is closed, since closing with unread bytes would take the answer back.
constexpr size_t kLingerBytes = 8 << 20;
constexpr absl::Duration kLingerTime = absl::Seconds(2);

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

absl::Status Refusal(int http_status, std::string_view reason, std::string_view message) {
  return WithReason(absl::InvalidArgumentError(AbslView(message)), reason,
                    {{"http_status", absl::StrCat(http_status)}});
}

// What the client did wrong with HTTP itself; OK when it only hung up.
absl::Status RefusalOf(const error_code& error, const HttpLimits& limits) {
  if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
    return Refusal(431, "HEADERS_TOO_LARGE",
                   absl::StrCat("the request's headers are longer than ", limits.max_header_bytes,
                                " bytes; send fewer or shorter ones"));
  }
  if (error == bhttp::error::body_limit) {
    return Refusal(413, "BODY_TOO_LARGE",
                   absl::StrCat("the request body is longer than ", limits.max_body_bytes,
                                " bytes; send a shorter one"));
  }
  if (error == bhttp::error::end_of_stream || error == bhttp::error::partial_message ||
      error.category() != bhttp::make_error_code(bhttp::error::bad_method).category()) {
    return absl::OkStatus();
  }
  return Refusal(400, "MALFORMED_HTTP", absl::StrCat("this is no HTTP request: ", error.message()));
}

HttpRequest Convert(bhttp::request<bhttp::string_body>& message) {
  const auto field = [&](auto name) { return std::string(View(message[name])); };
  HttpRequest request;
  request.method = std::string(View(message.method_string()));
  request.path = PathOfTarget(View(message.target()));
  request.authorization = field(bhttp::field::authorization);
  request.request_id = field("X-Request-Id");
  request.traceparent = field("traceparent");
  request.content_encoding = field(bhttp::field::content_encoding);
  request.timeout = field("X-Request-Timeout");
  request.body = std::move(message.body());
  return request;
}

std::string ChunkText(std::string_view data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", AbslView(data), "\r\n");
}

absl::Status ClientGone() {
  return absl::CancelledError("the client went away or stopped reading");
}

}  // namespace

Connection::Connection(tcp::socket socket, HttpHandler& handler, const HttpLimits& limits)
    : socket_(std::move(socket)),
      handler_(handler),
      limits_(limits),
      buffer_(limits.max_header_bytes + limits.max_pipelined_bytes + kReadBytes),
      reading_(socket_.get_executor()),
      writing_(socket_.get_executor()),
      whole_request_(socket_.get_executor()),
      parked_(socket_.get_executor(), asio::steady_timer::time_point::max()) {
  error_code ignored;  // a socket that is gone already fails at its first read
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::send_buffer_size(limits.send_buffer_bytes), ignored);
}

void Connection::Drain() {
  AnnounceDrain();
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    error_code ignored;
    if (self->idle_) self->socket_.cancel(ignored);
  });
}

void Connection::Kill() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->draining_ = true;
    self->parked_.cancel();
    error_code ignored;
    self->socket_.close(ignored);
  });
}

void Connection::LimitReading(absl::Duration after) {
  timed_out_ = false;
  reading_.Arm(after, shared_from_this(), [this] {
    timed_out_ = true;
    error_code ignored;
    socket_.cancel(ignored);
  });
}

Awaitable<void> Connection::Run() {
  try {
    co_await RunRequests();
  } catch (const std::exception&) {
    // Asio's word for a cancelled coroutine; whatever it was, this connection is over.
  }
  reading_.Disarm();
  writing_.Disarm();
  whole_request_.Disarm();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

Awaitable<void> Connection::RunRequests() {
  do {
    Parser parser;
    absl::Status refusal;
    const Read read = co_await ReadRequest(parser, refusal);
    if (read == Read::kClosed) co_return;
    if (read == Read::kRefused) {
      co_await CloseAfterRefusal(refusal);
      co_return;
    }
    co_await Serve(parser);
  } while (answered_ && keep_alive_ && !hung_up_ && socket_.is_open());
}

Awaitable<bool> Connection::WaitForFirstByte() {
  if (buffer_.size() > 0) co_return true;
  if (draining_) co_return false;
  idle_ = true;
  LimitReading(limits_.idle_timeout);
  const auto [error, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
  reading_.Disarm();
  idle_ = false;
  buffer_.commit(count);
  co_return !error;
}

Awaitable<Connection::Read> Connection::ReadRequest(Parser& parser, absl::Status& refusal) {
  if (!co_await WaitForFirstByte()) co_return Read::kClosed;
  parser.header_limit(static_cast<uint32_t>(limits_.max_header_bytes));
  parser.body_limit(limits_.max_body_bytes);
  LimitReading(limits_.header_timeout);
  auto [error, count] = co_await bhttp::async_read_header(socket_, buffer_, parser, kTuple);
  reading_.Disarm();
  if (!error && !parser.is_done()) {
    if (absl::EqualsIgnoreCase(AbslView(View(parser.get()[bhttp::field::expect])),
                               "100-continue")) {
      const absl::Status sent = co_await Write("HTTP/1.1 100 Continue\r\n\r\n", "");
      if (!sent.ok()) co_return Read::kClosed;
    }
    LimitReading(limits_.body_timeout);
    std::tie(error, count) = co_await bhttp::async_read(socket_, buffer_, parser, kTuple);
    reading_.Disarm();
  }
  if (!error) co_return Read::kRequest;
  refusal = timed_out_ ? Refusal(408, "REQUEST_TIMEOUT",
                                 "the request did not arrive in time; send it faster")
                       : RefusalOf(error, limits_);
  co_return refusal.ok() ? Read::kClosed : Read::kRefused;
}

Awaitable<void> Connection::CloseAfterRefusal(const absl::Status& refusal) {
  keep_alive_ = false;
  auto [head, body] = handler_.Refuse(refusal);
  const absl::Status sent = co_await Send(std::move(head), std::move(body));
  if (!sent.ok()) co_return;
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  LimitReading(kLingerTime);
  size_t dropped = 0;
  buffer_.clear();
  while (dropped < kLingerBytes) {
    const auto [error, count] =
        co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
    if (error) break;
    dropped += count;
  }
  reading_.Disarm();
}

Awaitable<void> Connection::Serve(Parser& parser) {
  using asio::experimental::awaitable_operators::operator||;
  bhttp::request<bhttp::string_body>& message = parser.get();
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  answered_ = false;
  whole_request_.Arm(limits_.request_timeout + limits_.write_timeout, shared_from_this(),
                     [this] { Kill(); });
  HttpRequest request = Convert(message);
  // Whichever ends first ends the other: a hang-up cancels the handler, and an answer the watch.
  co_await (HandleGuarded(std::move(request)) || WatchForHangup());
  whole_request_.Disarm();
}

Awaitable<void> Connection::HandleGuarded(HttpRequest request) {
  try {
    co_await handler_.Handle(std::move(request), *this);
  } catch (const std::exception&) {
    // The client hung up; an unfinished answer closes the connection.
  }
}

Awaitable<void> Connection::WatchForHangup() {
  while (buffer_.size() < limits_.max_pipelined_bytes) {
    const auto [error, count] =
        co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
    // An end of the stream is told once: a client that left behind its answer must not be waited
    // for, as for the next request of one that stayed.
    hung_up_ = error && error != asio::error::operation_aborted;
    if (error) co_return;
    buffer_.commit(count);
  }
  // Enough read ahead: a hang-up shows when something is written.
  co_await parked_.async_wait(kTuple);
}

std::string Connection::HeadText(const HttpHead& head, std::string_view framing) const {
  const beast::string_view phrase = bhttp::obsolete_reason(static_cast<bhttp::status>(head.status));
  std::string text =
      absl::StrCat("HTTP/1.1 ", head.status, " ", AbslView(View(phrase)),
                   "\r\nContent-Type: ", head.content_type, "\r\n", AbslView(framing));
  if (!keep_alive_) absl::StrAppend(&text, "Connection: close\r\n");
  if (keep_alive_ && !chunked_) absl::StrAppend(&text, "Connection: keep-alive\r\n");
  for (const auto& [name, value] : head.headers) absl::StrAppend(&text, name, ": ", value, "\r\n");
  absl::StrAppend(&text, "\r\n");
  return text;
}

Awaitable<absl::Status> Connection::Write(std::string_view first, std::string_view second) {
  // Not each byte that trickles away counts as progress, but a whole stretch of them.
  const auto limit = [this] {
    writing_.Arm(limits_.write_timeout, shared_from_this(), [this] { Kill(); });
  };
  limit();
  size_t stretch = 0;
  while (!first.empty() || !second.empty()) {
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(first.data(), first.size()),
                                                       asio::buffer(second.data(), second.size())};
    auto [error, count] = co_await socket_.async_write_some(buffers, kTuple);
    if (error) {
      writing_.Disarm();
      co_return ClientGone();
    }
    const size_t of_first = std::min(count, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(count - of_first);
    stretch += count;
    if (stretch >= limits_.write_stretch_bytes) {
      stretch = 0;
      limit();
    }
  }
  writing_.Disarm();
  co_return absl::OkStatus();
}

Awaitable<absl::Status> Connection::Send(HttpHead head, std::string body) {
  keep_alive_ = keep_alive_ && !draining_;
  const std::string text = HeadText(head, absl::StrCat("Content-Length: ", body.size(), "\r\n"));
  const absl::Status sent = co_await Write(text, body);
  answered_ = sent.ok();
  co_return sent;
}

Awaitable<absl::Status> Connection::BeginStream(HttpHead head, std::string data) {
  keep_alive_ = keep_alive_ && !draining_ && chunked_;
  const std::string text = HeadText(head, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  if (chunked_ && !data.empty()) data = ChunkText(data);
  co_return co_await Write(text, data);
}

Awaitable<absl::Status> Connection::SendPiece(std::string data) {
  if (data.empty()) co_return absl::OkStatus();
  if (chunked_) data = ChunkText(data);
  co_return co_await Write(data, "");
}

Awaitable<absl::Status> Connection::EndStream(std::string data) {
  if (chunked_) {
    if (!data.empty()) data = ChunkText(data);
    data += "0\r\n\r\n";
  }
  const absl::Status sent = co_await Write(data, "");
  answered_ = sent.ok();
  co_return sent;
}

}  // namespace floe::gateway
