#include "services/runtime/host.h"

#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::runtime {

Host::Host(std::string service, const CommonOptions& options, LogLevel level, PeerRules peers)
    : service_(std::move(service)),
      options_(options),
      ids_(clock_),
      logger_(service_, level),
      calls_({logger_, metrics_, clock_, ids_, absl::StrCat(service_, ".floe"), std::move(peers)}) {
}

absl::StatusOr<std::unique_ptr<Host>> Host::Create(std::string service,
                                                   const CommonOptions& options,
                                                   const Config& config, PeerRules peers) {
  FLOE_ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(options.log_level));
  // Debian's Abseil watches every mutex for deadlocks, those of gRPC too: a twentieth of a request.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  auto host = std::unique_ptr<Host>(new Host(std::move(service), options, level, std::move(peers)));
  nlohmann::ordered_json effective;
  for (const auto& [name, value] : config.Effective()) effective[name] = value;
  host->logger_.Info("starting", {{"config", effective.dump()}});
  return host;
}

void Host::AddReadyCheck(std::string name, std::function<absl::Status()> check) {
  checks_.push_back({std::move(name), std::move(check)});
}

void Host::AddPort(std::string name, int port) { ports_[std::move(name)] = port; }

void Host::OnDrain(std::function<void()> drain) { on_drain_.push_back(std::move(drain)); }

absl::Status Host::WritePorts() {
  if (options_.ports_file.empty()) return absl::OkStatus();
  return WriteFileAtomically(options_.ports_file, nlohmann::json(ports_).dump() + "\n");
}

absl::Status Host::Serve(const std::vector<grpc::Service*>& services) {
  FLOE_ASSIGN_OR_RETURN(auto side, SideServer::Start(options_.side_listen, metrics_, checks_));
  ports_["side"] = side->port();
  std::unique_ptr<GrpcServer> server;
  if (!services.empty()) {
    FLOE_ASSIGN_OR_RETURN(server, GrpcServer::Start(options_, services));
    ports_["grpc"] = server->port();
    server->SetServing(true);
  }
  side->SetReady(true);
  FLOE_RETURN_IF_ERROR(WritePorts());
  logger_.Info("serving", {{"ports", nlohmann::json(ports_).dump()}});

  shutdown_.Wait();

  logger_.Info("draining", {{"grace_seconds", absl::ToDoubleSeconds(options_.drain_grace)}});
  side->SetReady(false);
  calls_.SetDraining();
  for (auto drain = on_drain_.rbegin(); drain != on_drain_.rend(); ++drain) (*drain)();
  if (server != nullptr) server->Drain(options_.drain_grace);
  std::lock_guard lock(mutex_);
  logger_.Info("stopped", {{"status", stop_status_.ToString()}});
  return stop_status_;
}

void Host::RequestStop(absl::Status status) {
  {
    std::lock_guard lock(mutex_);
    if (stop_status_.ok()) stop_status_ = std::move(status);
  }
  shutdown_.Request();
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << status.ToString() << std::endl;
  return 1;
}

}  // namespace floe::runtime
