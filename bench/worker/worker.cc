#include "bench/worker/worker.h"

#include <csignal>

#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "model/quantization.h"
#include "registry/blobs/layout.h"
#include "services/runtime/client.h"
#include "tests/support/started.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;

void MoveToBlob(const fs::path& file, const fs::path& blobs, const std::string& digest) {
  const fs::path to = registry::BlobPath(blobs, digest);
  fs::create_directories(to.parent_path());
  fs::rename(file, to);
}

}  // namespace

absl::StatusOr<Served> WriteServed(const fs::path& folder, const ServedModel& model, bool narrow,
                                   Kept kept) {
  fs::create_directories(folder / "cache");
  fs::create_directories(folder / "blobs");
  fs::path written = folder / "wide";
  FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(model.blueprint, written));
  if (narrow) {
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint wide, model::Checkpoint::Open(written));
    FLOE_RETURN_IF_ERROR(model::QuantizeCheckpoint(wide, folder / "narrow").status());
    fs::remove_all(written);
    written = folder / "narrow";
  }
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        model::Checkpoint::Open(written, /*verify=*/false));
  if (kept == Kept::kInCache) {
    fs::rename(written, folder / "cache" / checkpoint.digest());
  } else {
    MoveToBlob(written / model::kManifestFile, folder / "blobs", checkpoint.digest());
    for (const auto& [name, entry] : checkpoint.manifest().files) {
      MoveToBlob(written / name, folder / "blobs", entry.digest);
    }
  }
  return Served{checkpoint.digest(), model.blueprint};
}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start(const fs::path& folder,
                                                      const Served& served) {
  auto worker = std::make_unique<Worker>();
  test::ChildProcess::Options child;
  child.argv = {
      FLOE_INFERENCE_PROGRAM, "--insecure",   "--blob-dir",     folder / "blobs", "--cache-dir",
      folder / "cache",       "--ports-file", folder / "ports", "--preload",      served.digest};
  child.output = folder / "log";
  const int port = test::StartServing(child, folder / "ports", worker->process_);
  FLOE_ASSIGN_OR_RETURN(auto channel,
                        runtime::MakeChannel(test::AddressOf(port), {}, /*insecure=*/true));
  worker->stub_ = inference::v1::InferenceService::NewStub(std::move(channel));
  return worker;
}

Worker::~Worker() {
  if (!process_.running()) return;
  process_.Signal(SIGTERM);
  process_.Wait(absl::Seconds(30));
}

}  // namespace floe::bench
