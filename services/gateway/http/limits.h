// What one client may take of the server.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace floe::gateway {

struct HttpLimits {
  size_t max_header_bytes = 16 << 10;  // more: 431
  size_t max_body_bytes = 2 << 20;     // more: 413
  int max_connections = 1024;          // more: 503, closed

  absl::Duration idle_timeout = absl::Seconds(75);    // between requests
  absl::Duration header_timeout = absl::Seconds(10);  // from a request's first byte; then 408
  absl::Duration body_timeout = absl::Seconds(30);    // of the whole body; then 408
  // For a client to take so many bytes, or what is left of a piece; then closed. A few bytes at a
  // time win it nothing.
  absl::Duration write_timeout = absl::Seconds(30);
  size_t write_stretch_bytes = 64 << 10;
  absl::Duration request_timeout = absl::Minutes(10);  // from reading to the answer's end

  // Of the socket: with one piece read ahead, all that a client may lag behind the worker.
  int send_buffer_bytes = 128 << 10;
  // Of later requests, read while one is answered.
  size_t max_pipelined_bytes = 16 << 10;
};

}  // namespace floe::gateway
