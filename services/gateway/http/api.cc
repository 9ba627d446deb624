#include "services/gateway/http/api.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <boost/asio/this_coro.hpp>

#include "base/error_reason.h"
#include "base/view.h"
#include "gateway/audit/record.h"
#include "gateway/openai/error.h"
#include "gateway/openai/parse.h"
#include "gateway/stages/policy.h"
#include "services/gateway/clients/handoff.h"
#include "services/gateway/http/description.h"
#include "services/gateway/http/sinks.h"
#include "services/runtime/request_id.h"
#include "services/runtime/trace.h"

namespace floe::gateway {
namespace {

constexpr int kClientLeft = 499;
// Parsing this much takes about a millisecond.
constexpr size_t kInlineBytes = 64 << 10;

absl::Status NotFound(std::string_view path) {
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "there is no ", absl::CHexEscape(std::string(path.substr(0, 200))),
                        "; GET /docs shows what this server offers")),
                    "UNKNOWN_URL");
}

absl::Status WrongMethod(const HttpRequest& http, std::string_view allowed) {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(absl::CHexEscape(http.method.substr(0, 20)),
                                              " is not offered here; use ", AbslView(allowed))),
      "METHOD_NOT_ALLOWED", {{"http_status", "405"}});
}

absl::Status EncodedBody(std::string_view encoding) {
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "Content-Encoding ", absl::CHexEscape(std::string(encoding.substr(0, 40))),
                        " is not supported; send the body as it is")),
                    "UNSUPPORTED_ENCODING", {{"http_status", "415"}});
}

// What the client says that it will wait for the whole answer, at most `most`.
absl::StatusOr<absl::Duration> TimeoutOf(const HttpRequest& http, absl::Duration most) {
  if (http.timeout.empty()) return most;
  double seconds = 0;
  if (absl::SimpleAtod(http.timeout, &seconds) && std::isfinite(seconds) && seconds > 0) {
    return std::min(absl::Seconds(seconds), most);
  }
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          "the header X-Request-Timeout is \"", absl::CHexEscape(http.timeout.substr(0, 40)),
          "\"; write the seconds that you will wait, above 0, as 2.5")),
      "INVALID_VALUE", {{"param", "X-Request-Timeout"}});
}

using Parser = absl::StatusOr<Ask> (*)(std::string_view);

Parser ParserOf(Endpoint endpoint) {
  if (endpoint == Endpoint::kEmbeddings) return openai::ParseEmbedding;
  return endpoint == Endpoint::kChat ? openai::ParseChat : openai::ParseCompletion;
}

}  // namespace

// Logs and counts one exchange when it ends, however it ends.
class Api::Record {
 public:
  Record(const Parts& parts, std::string_view route, Request& request)
      : parts_(parts), route_(route), request_(request), start_(parts.clock.Monotonic()) {
    parts_.metrics.AddInFlight(1);
  }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  ~Record() {
    const absl::Duration took = parts_.clock.Monotonic() - start_;
    parts_.metrics.AddInFlight(-1);
    parts_.metrics.ObserveRequest(route_.empty() ? "other" : route_, code_, took);
    parts_.metrics.ObserveStages(request_);
    if (route_.starts_with("/v1/")) {
      parts_.logger.Write(AuditLine(
          request_,
          {.status = code_, .code = error_code_, .ended = parts_.clock.Now(), .took = took}));
    }
    using runtime::LogLevel;
    const LogLevel level = code_ >= 500   ? LogLevel::kError
                           : code_ >= 400 ? LogLevel::kInfo
                                          : LogLevel::kDebug;
    const std::optional<Finish>& finish = request_.finish;
    parts_.logger.For(request_.trace_id, request_.id)
        .Log(level, "http",
             {{"route", route_},
              {"status", code_},
              {"code", error_code_},
              {"error", error_},
              {"team", request_.scope.caller.team},
              {"key_id", request_.scope.caller.key_id},
              {"usage_id", request_.usage_id},
              {"digest", request_.model.digest},
              {"prompt_tokens", static_cast<int64_t>(request_.prompt_ids.size())},
              {"completion_tokens", finish ? finish->completion_tokens : 0},
              {"seconds", absl::ToDoubleSeconds(took)}});
  }

  void Answered(int code) { code_ = code; }
  void Failed(const openai::ErrorAnswer& answer, const absl::Status& status) {
    code_ = answer.http_status;
    error_code_ = answer.code;
    // Messages of bad requests may quote them; those of the fleet's own failures do not.
    if (code_ >= 500) error_ = std::string(status.message());
  }

 private:
  const Parts& parts_;
  const std::string_view route_;
  Request& request_;
  const absl::Duration start_;
  int code_ = kClientLeft;
  std::string error_code_;
  std::string error_;
};

Api::Api(const Parts& parts)
    : parts_(parts),
      generating_(GeneratingPipeline(parts.ports)),
      embedding_(EmbeddingPipeline(parts.ports)),
      looking_(LookingPipeline(parts.ports)) {}

std::pair<HttpHead, std::string> Api::Refuse(const absl::Status& why) {
  const std::string id = parts_.ids.Next();
  openai::ErrorAnswer answer = openai::ToErrorAnswer(why, id);
  parts_.metrics.ObserveRequest("refused", answer.http_status, absl::ZeroDuration());
  HttpHead head;
  head.status = answer.http_status;
  head.headers.emplace_back("X-Request-Id", id);
  return {std::move(head), std::move(answer.body)};
}

Request Api::Arrive(const HttpRequest& http, std::string_view route) const {
  Request request;
  request.id = runtime::IsRequestId(http.request_id) ? http.request_id : parts_.ids.Next();
  request.what = absl::StrCat(http.method, " ", AbslView(route));
  request.authorization = http.authorization;
  request.usage_id = parts_.ids.Next();
  request.arrived = parts_.clock.Now();
  const auto parent = runtime::ParseTraceParent(http.traceparent);
  const runtime::TraceParent trace = parent ? runtime::NewSpan(*parent) : runtime::NewTrace();
  request.trace_id = trace.trace_id;
  request.scope.request_id = request.id;
  request.scope.traceparent = trace.ToHeader();
  request.scope.deadline = request.arrived + parts_.request_timeout;
  return request;
}

Awaitable<absl::Status> Api::SendError(const Request& request, HttpReply& reply,
                                       const absl::Status& status, Record& record,
                                       std::string_view allowed) {
  openai::ErrorAnswer answer = openai::ToErrorAnswer(status, request.id);
  record.Failed(answer, status);
  HttpHead head = HeadFor(request, answer.http_status);
  if (answer.retry_after_seconds) {
    head.headers.emplace_back("Retry-After", absl::StrCat(*answer.retry_after_seconds));
  }
  if (answer.http_status == 401) head.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (answer.http_status == 405) head.headers.emplace_back("Allow", std::string(allowed));
  co_return co_await reply.Send(std::move(head), std::move(answer.body));
}

Awaitable<void> Api::Handle(HttpRequest http, HttpReply& reply) {
  const Route* route = FindRoute(http.path);
  absl::Status refusal;
  if (route == nullptr) {
    refusal = NotFound(http.path);
  } else if (http.method != route->method) {
    refusal = WrongMethod(http, route->method);
  } else if (!http.content_encoding.empty() && http.content_encoding != "identity") {
    refusal = EncodedBody(http.content_encoding);
  }
  if (!refusal.ok()) {
    const std::string_view path = route == nullptr ? "" : route->path;
    Request request = Arrive(http, path);
    Record record(parts_, path, request);
    const std::string_view allowed = route == nullptr ? "" : route->method;
    (void)co_await SendError(request, reply, refusal, record, allowed);
    co_return;
  }
  switch (route->endpoint) {
    case Endpoint::kChat:
    case Endpoint::kCompletions:
      co_return co_await Generate(std::move(http), reply, *route);
    case Endpoint::kEmbeddings:
      co_return co_await Embed(std::move(http), reply, *route);
    case Endpoint::kModels:
      co_return co_await ListModels(http, reply, *route);
    case Endpoint::kModel:
      co_return co_await GetModel(http, reply, *route);
    case Endpoint::kOpenApi:
      co_return co_await SendText(http, reply, *route, "application/json", OpenApiJson());
    case Endpoint::kDocs:
      co_return co_await SendText(http, reply, *route, "text/html; charset=utf-8", DocsHtml());
  }
}

Awaitable<void> Api::SendText(const HttpRequest& http, HttpReply& reply, const Route& route,
                              std::string_view type, std::string_view text) {
  Request request = Arrive(http, route.path);
  Record record(parts_, route.path, request);
  HttpHead head = HeadFor(request, 200);
  head.content_type = type;
  // The page carries its style and its script, and speaks with nobody but this server.
  head.headers.emplace_back("Content-Security-Policy",
                            "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; "
                            "script-src 'unsafe-inline'");
  const absl::Status sent = co_await reply.Send(std::move(head), std::string(text));
  if (sent.ok()) record.Answered(200);
}

Awaitable<absl::StatusOr<Ask>> Api::Parse(std::string body, const Route& route) const {
  const auto parse = ParserOf(route.endpoint);
  if (body.size() <= kInlineBytes) co_return parse(body);
  auto work = [parse, body = std::move(body)] { return parse(body); };
  co_return co_await RunOn(parts_.pool, std::move(work));
}

Awaitable<absl::Status> Api::Read(HttpRequest http, const Route& route, Request& request) {
  const absl::StatusOr<absl::Duration> timeout = TimeoutOf(http, parts_.request_timeout);
  absl::Status wrong = timeout.status();
  if (timeout.ok()) {
    request.scope.deadline = request.arrived + *timeout;
    absl::StatusOr<Ask> ask = co_await Parse(std::move(http.body), route);
    if (ask.ok()) {
      request.ask = *std::move(ask);
      co_return absl::OkStatus();
    }
    wrong = ask.status();
  }
  // Who has no key learns nothing else.
  const absl::Status known = co_await looking_.Run(request);
  co_return known.ok() ? wrong : known;
}

Awaitable<void> Api::Embed(HttpRequest http, HttpReply& reply, const Route& route) {
  Request request = Arrive(http, route.path);
  Record record(parts_, route.path, request);
  absl::Status status = co_await Read(std::move(http), route, request);
  if (status.ok()) {
    VectorSink sink(reply, parts_.pool);
    request.sink = &sink;
    status = co_await embedding_.Run(request);
  }
  if (status.ok()) {
    record.Answered(200);
    co_return;
  }
  (void)co_await SendError(request, reply, status, record);
}

Awaitable<void> Api::Generate(HttpRequest http, HttpReply& reply, const Route& route) {
  Request request = Arrive(http, route.path);
  Record record(parts_, route.path, request);
  const absl::Status read = co_await Read(std::move(http), route, request);
  if (!read.ok()) {
    (void)co_await SendError(request, reply, read, record);
    co_return;
  }
  WholeSink whole(reply);
  EventSink events(reply);
  request.sink = request.ask.stream ? static_cast<AnswerSink*>(&events) : &whole;
  const absl::Status status = co_await generating_.Run(request);
  if (status.ok()) {
    record.Answered(200);
    co_return;
  }
  if (!events.begun()) {
    (void)co_await SendError(request, reply, status, record);
    co_return;
  }
  const openai::ErrorAnswer answer = openai::ToErrorAnswer(status, request.id);
  (void)co_await events.Fail(answer.body);
  record.Failed(answer, status);
}

Awaitable<void> Api::ListModels(const HttpRequest& http, HttpReply& reply, const Route& route) {
  Request request = Arrive(http, route.path);
  Record record(parts_, route.path, request);
  absl::Status status = co_await looking_.Run(request);
  if (status.ok()) {
    const auto models = co_await parts_.ports.models.List(request.scope);
    status = models.status();
    if (models.ok()) {
      std::vector<openai::ModelEntry> entries;
      const auto policy = parts_.ports.policies.Current();
      const Identity& caller = request.scope.caller;
      for (const ModelSummary& model : *models) {
        if (!MayAsk(policy->For(caller.team), caller, model.id)) continue;
        entries.push_back({model.id, model.team, model.created});
      }
      HttpHead head = HeadFor(request, 200);
      const absl::Status sent = co_await reply.Send(std::move(head), openai::ModelList(entries));
      if (sent.ok()) record.Answered(200);
      co_return;
    }
  }
  (void)co_await SendError(request, reply, status, record);
}

Awaitable<void> Api::GetModel(const HttpRequest& http, HttpReply& reply, const Route& route) {
  Request request = Arrive(http, route.path);
  Record record(parts_, route.path, request);
  absl::Status status = co_await looking_.Run(request);
  if (status.ok()) {
    const std::string id = http.path.substr(route.path.find('{'));
    const auto model = co_await parts_.ports.models.Resolve(request.scope, id);
    status = model.status();
    if (absl::IsNotFound(status) || absl::IsInvalidArgument(status)) status = ModelNotFound(id);
    if (model.ok()) {
      const openai::ModelEntry entry{id, request.scope.caller.team, model->created};
      HttpHead head = HeadFor(request, 200);
      const absl::Status sent = co_await reply.Send(std::move(head), openai::ModelObject(entry));
      if (sent.ok()) record.Answered(200);
      co_return;
    }
  }
  (void)co_await SendError(request, reply, status, record);
}

}  // namespace floe::gateway
