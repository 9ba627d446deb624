// What every binary is told, whatever it does. Registered with Config::AddCommon.
#pragma once

#include <string>

#include "absl/time/time.h"

namespace floe::runtime {

// PEM files of this process: its own certificate and key, and the authority that peers must come
// from.
struct TlsFiles {
  std::string cert;
  std::string key;
  std::string ca;

  bool empty() const { return cert.empty() && key.empty() && ca.empty(); }
};

struct CommonOptions {
  std::string listen = "127.0.0.1:0";       // gRPC; port 0: the system chooses
  std::string side_listen = "127.0.0.1:0";  // /metrics, /healthz, /readyz
  std::string ports_file;          // JSON {"grpc": 1234, "side": 1235}, written when serving
  std::string log_level = "info";  // debug, info, warning, error
  TlsFiles tls;
  bool insecure = false;  // no TLS at all; refused beyond the loopback address
  absl::Duration drain_grace = absl::Seconds(20);  // from SIGTERM to the end of calls in flight
  int max_threads = 256;                           // of the gRPC server: the bound on calls at once
  bool migrate_only = false;  // --migrate: bring the database up to date, then exit
};

}  // namespace floe::runtime
