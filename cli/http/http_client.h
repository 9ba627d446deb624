// HTTP requests, whole or as they arrive, by libcurl.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe::cli {

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // POST when not empty, else GET
  absl::Duration timeout = absl::InfiniteDuration();
  std::string ca;  // PEM file of the authority of an https server; empty: the system's
  // Takes the body of a 2xx answer piece by piece; false ends the request. Null: the body is kept.
  std::function<bool(std::string_view)> on_data;
};

struct HttpResponse {
  long status = 0;   // NOLINT: the type of libcurl's interface
  std::string body;  // of an error also when `on_data` is set
};

// UNAVAILABLE when there is no connection, DEADLINE_EXCEEDED after `timeout`, CANCELLED when
// `on_data` said so; an HTTP error is an answer. Thread-safe. No proxy stands before this machine.
absl::StatusOr<HttpResponse> SendHttp(const HttpRequest& request);

}  // namespace floe::cli
