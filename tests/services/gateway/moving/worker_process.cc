#include "tests/services/gateway/moving/worker_process.h"

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "services/runtime/client.h"

namespace floe::gateway {

WorkerProcess::WorkerProcess(const WorkerProcessOptions& options) {
  test::ChildProcess::Options child;
  child.argv = {FLOE_INFERENCE_PROGRAM,
                "--insecure",
                "--blob-dir",
                options.blobs,
                "--cache-dir",
                dir_ / "cache",
                "--journal-dir",
                dir_ / "journal",
                "--billing",
                options.billing,
                "--preload",
                options.preload,
                "--threads",
                "1",
                "--kv-mib",
                "64",
                "--drain-grace",
                absl::FormatDuration(options.drain_grace),
                "--ports-file",
                dir_ / "ports"};
  child.output = dir_ / "log";
  auto process = test::ChildProcess::Start(child);
  if (process.ok()) process_ = *std::move(process);
  while (!std::filesystem::exists(dir_ / "ports")) {
    if (!process_.running() || process_.Wait(absl::Milliseconds(20))) {
      std::cerr << "floe-inference did not start: " << Log() << std::endl;
      std::abort();
    }
  }
  const int port = nlohmann::json::parse(*ReadFile(dir_ / "ports"))["grpc"].get<int>();
  address_ = absl::StrCat("127.0.0.1:", port);
  stub_ = inference::v1::InferenceService::NewStub(
      *runtime::MakeChannel(address_, {}, /*insecure=*/true));
}

std::string WorkerProcess::name() const { return ReadFile(dir_ / "journal/name").value_or(""); }

std::string WorkerProcess::Log() const { return ReadFile(dir_ / "log").value_or(""); }

int64_t WorkerProcess::running() {
  grpc::ClientContext context;
  inference::v1::WorkerStatus status;
  const grpc::Status asked =
      stub_->GetWorkerStatus(&context, inference::v1::GetWorkerStatusRequest(), &status);
  return asked.ok() ? status.requests_running() : 0;
}

}  // namespace floe::gateway
