// Where answers go: one JSON object, or server-sent events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "gateway/openai/answer_format.h"
#include "gateway/request.h"
#include "services/gateway/http/exchange.h"

namespace floe::gateway {

openai::AnswerFacts FactsOf(const Request& request);

openai::AnswerOutcome OutcomeOf(const Request& request);

// The headers that every answer of a request carries.
HttpHead HeadFor(const Request& request, int status);

// Collects the answers and sends them whole with the last piece. One a request; borrows the reply.
class WholeSink final : public AnswerSink {
 public:
  explicit WholeSink(HttpReply& reply) : reply_(reply) {}
  Awaitable<absl::Status> Write(const Request& request, const Piece& piece) override;

 private:
  HttpReply& reply_;
  std::vector<openai::AnswerText> answers_;
};

// Sends request.vectors. Many are written on `pool`. One a request; borrows both.
class VectorSink final : public AnswerSink {
 public:
  VectorSink(HttpReply& reply, boost::asio::thread_pool& pool) : reply_(reply), pool_(pool) {}
  Awaitable<absl::Status> Write(const Request& request, const Piece& piece) override;

 private:
  HttpReply& reply_;
  boost::asio::thread_pool& pool_;
};

// text/event-stream: the head goes out with the first piece, so that what fails before it is still
// an HTTP error. One a request; borrows the reply.
class EventSink final : public AnswerSink {
 public:
  explicit EventSink(HttpReply& reply) : reply_(reply) {}
  Awaitable<absl::Status> Write(const Request& request, const Piece& piece) override;

  bool begun() const { return format_.has_value(); }
  // After the head is out, an error can only be an event: `data: {"error": …}`, and no [DONE].
  Awaitable<absl::Status> Fail(const std::string& error_body);

 private:
  HttpReply& reply_;
  std::optional<openai::AnswerFormat> format_;
};

}  // namespace floe::gateway
