#include "gateway/openai/error.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::gateway::openai {
namespace {

struct Shape {
  int http_status;
  const char* type;
  const char* code;  // when the status has no reason
};

Shape ShapeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return {400, "invalid_request_error", "invalid_value"};
    case absl::StatusCode::kFailedPrecondition:
      return {400, "invalid_request_error", "failed_precondition"};
    case absl::StatusCode::kUnauthenticated:
      return {401, "invalid_request_error", "invalid_api_key"};
    case absl::StatusCode::kPermissionDenied:
      return {403, "permission_error", "permission_denied"};
    case absl::StatusCode::kNotFound:
      return {404, "invalid_request_error", "not_found"};
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return {409, "invalid_request_error", "conflict"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "rate_limit_error", "overloaded"};
    case absl::StatusCode::kCancelled:
      return {499, "invalid_request_error", "cancelled"};
    case absl::StatusCode::kUnimplemented:
      return {501, "not_supported_error", "not_supported"};
    case absl::StatusCode::kUnavailable:
      return {503, "unavailable_error", "unavailable"};
    case absl::StatusCode::kDeadlineExceeded:
      return {504, "server_error", "timeout"};
    case absl::StatusCode::kDataLoss:
      return {500, "server_error", "data_loss"};
    default:
      return {500, "server_error", "internal_error"};
  }
}

// What is told of a failure inside: no path, no message of a library.
std::string Hidden(absl::StatusCode code, std::string_view request_id) {
  if (code == absl::StatusCode::kDataLoss) {
    return absl::StrCat(
        "The stored bytes of this model have changed, so it does not answer. Its operator finds "
        "the "
        "file with `floe models verify` and more with request id ",
        AbslView(request_id), ".");
  }
  return absl::StrCat("The server failed on this request; ask its operator with request id ",
                      AbslView(request_id), ".");
}

}  // namespace

ErrorAnswer ToErrorAnswer(const absl::Status& status, std::string_view request_id) {
  const Shape shape = ShapeOf(status.code());
  const ErrorReason reason = ReasonOf(status).value_or(ErrorReason{});
  const bool hidden = shape.http_status == 500;
  ErrorAnswer answer;
  answer.http_status = shape.http_status;
  answer.code = reason.reason.empty() || hidden ? shape.code : absl::AsciiStrToLower(reason.reason);
  // An adapter of HTTP may say more exactly what it refuses: 405, 408, 413, 431.
  if (const auto exact = reason.metadata.find("http_status"); exact != reason.metadata.end()) {
    int number = 0;
    if (absl::SimpleAtoi(exact->second, &number)) answer.http_status = number;
  }
  // The status that is told: a budget's 402 is not worth repeating.
  if (answer.http_status == 429 || answer.http_status == 503) answer.retry_after_seconds = 1;
  // Whoever refuses may know better when it will work.
  if (const auto after = reason.metadata.find("retry_after_seconds");
      after != reason.metadata.end()) {
    int seconds = 0;
    if (absl::SimpleAtoi(after->second, &seconds)) answer.retry_after_seconds = seconds;
  }
  const std::string message =
      hidden ? Hidden(status.code(), request_id) : std::string(status.message());
  const auto param = reason.metadata.find("param");
  const bool has_param = param != reason.metadata.end() && !param->second.empty() && !hidden;
  nlohmann::ordered_json error;
  error["message"] = message;
  error["type"] = shape.type;
  error["param"] = has_param ? nlohmann::ordered_json(param->second) : nullptr;
  error["code"] = answer.code;
  answer.body = nlohmann::ordered_json{{"error", std::move(error)}}.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return answer;
}

}  // namespace floe::gateway::openai
