#include "tests/services/gateway/moving/worker_process.h"

#include "base/files.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/support/started.h"

namespace floe::gateway {

WorkerProcess::WorkerProcess(const WorkerProcessOptions& options) {
  test::ChildProcess::Options child;
  child.argv = {FLOE_INFERENCE_PROGRAM,
                "--insecure",
                "--cache-dir",
                dir_ / "cache",
                "--threads",
                "1",
                "--kv-mib",
                "64",
                "--drain-grace",
                absl::FormatDuration(options.drain_grace),
                "--ports-file",
                dir_ / "ports"};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) child.argv.insert(child.argv.end(), {name, value});
  };
  add("--blob-dir", options.blobs);
  add("--registry", options.registry);
  add("--preload", options.preload);
  add("--billing", options.billing);
  if (!options.billing.empty()) add("--journal-dir", dir_ / "journal");
  child.output = dir_ / "log";
  address_ = test::AddressOf(test::StartServing(child, dir_ / "ports", process_));
  stub_ = inference::v1::InferenceService::NewStub(
      *runtime::MakeChannel(address_, {}, /*insecure=*/true));
}

std::string WorkerProcess::name() const { return ReadFile(dir_ / "journal/name").value_or(""); }

std::string WorkerProcess::Log() const { return ReadFile(dir_ / "log").value_or(""); }

WorkerLoad WorkerProcess::load() {
  grpc::ClientContext context;
  inference::v1::WorkerStatus status;
  const grpc::Status asked =
      stub_->GetWorkerStatus(&context, inference::v1::GetWorkerStatusRequest(), &status);
  WorkerLoad load;
  if (!asked.ok()) return load;
  load.running = status.requests_running();
  for (const auto& checkpoint : status.checkpoints()) {
    load.kv_blocks += checkpoint.kv_blocks() - checkpoint.kv_blocks_free();
  }
  return load;
}

absl::Status WorkerProcess::Unload(const std::string& digest) {
  grpc::ClientContext context;
  inference::v1::UnloadCheckpointRequest request;
  request.set_digest(digest);
  inference::v1::UnloadCheckpointResponse response;
  return runtime::FromGrpcStatus(stub_->UnloadCheckpoint(&context, request, &response));
}

}  // namespace floe::gateway
