// A service that tells what the runtime gave it: it speaks the tokenizer's contract, where
// `tokenizer` is a command and `text` its argument.
//
//   Encode describe          identity and time left, as JSON in tokenizer_digest
//   Encode forward           the same, asked of the service at --peer on the caller's behalf
//   Count fail               NOT_FOUND with a reason
//   Count wait <path>        writes <path>.entered, returns once <path> exists; on cancellation
//   writes
//                            <path>.cancelled
//   Count stop               asks the host to end with an error
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"
#include "services/runtime/status.h"

namespace floe::runtime {
namespace {

namespace pb = floe::tokenizer::v1;

struct ProbeOptions {
  CommonOptions common;
  std::string peer;
  std::string unready_file;
  std::string token;
};

class Probe final : public pb::TokenizerService::Service {
 public:
  Probe(Host& host, const ProbeOptions& options) : host_(host), options_(options) {}

  grpc::Status Encode(grpc::ServerContext* context, const pb::EncodeRequest* request,
                      pb::EncodeResponse* answer) override {
    return host_.calls().Run(*context, "probe.Encode", [&](CallContext& call) -> absl::Status {
      if (request->tokenizer() == "forward") return Forward(call, *answer);
      const CallIdentity& who = call.identity();
      answer->set_tokenizer_digest(
          nlohmann::json({{"team", who.team},
                          {"role", who.role},
                          {"key_id", who.key_id},
                          {"request_id", who.request_id},
                          {"trace_id", who.trace.trace_id},
                          {"span_id", who.trace.span_id},
                          {"seconds_left", absl::ToDoubleSeconds(call.time_left())}})
              .dump());
      return absl::OkStatus();
    });
  }

  grpc::Status Count(grpc::ServerContext* context, const pb::CountRequest* request,
                     pb::CountResponse* answer) override {
    return host_.calls().Run(*context, "probe.Count", [&](CallContext& call) -> absl::Status {
      const std::string& command = request->tokenizer();
      if (command == "fail") {
        return WithReason(absl::NotFoundError("no such text"), "TEXT_NOT_FOUND", {{"text", "x"}});
      }
      if (command == "break") return absl::InternalError("the store answered nonsense");
      if (command == "wait") return Wait(call, request->text());
      if (command == "stop") host_.RequestStop(absl::DataLossError("a disk is broken"));
      answer->set_tokens(static_cast<int64_t>(request->text().size()));
      return absl::OkStatus();
    });
  }

 private:
  absl::Status Forward(const CallContext& call, pb::EncodeResponse& answer) {
    FLOE_ASSIGN_OR_RETURN(const auto channel, MakeChannel(options_.peer, options_.common.tls,
                                                          options_.common.insecure));
    const auto stub = pb::TokenizerService::NewStub(channel);
    pb::EncodeRequest request;
    request.set_tokenizer("describe");
    grpc::ClientContext context;
    PrepareCall(context, OutgoingCall::From(call, absl::Seconds(30)));
    return FromGrpcStatus(stub->Encode(&context, request, &answer));
  }

  static absl::Status Wait(const CallContext& call, const std::string& path) {
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(path + ".entered", ""));
    while (!std::filesystem::exists(path)) {
      if (call.cancelled()) {
        FLOE_RETURN_IF_ERROR(WriteFileAtomically(path + ".cancelled", ""));
        return absl::CancelledError("nobody waits any more");
      }
      std::this_thread::yield();
    }
    return absl::OkStatus();
  }

  Host& host_;
  const ProbeOptions& options_;
};

absl::Status Run(const ProbeOptions& options, const Config& config) {
  FLOE_ASSIGN_OR_RETURN(const auto host,
                        Host::Create("probe", options.common, config,
                                     {{"service", {"*"}}, {"worker", {"probe.Count"}}}));
  host->AddReadyCheck("store", [&]() -> absl::Status {
    if (options.unready_file.empty() || !std::filesystem::exists(options.unready_file)) {
      return absl::OkStatus();
    }
    return absl::UnavailableError("the store is away");
  });
  Probe probe(*host, options);
  return host->Serve({&probe});
}

}  // namespace
}  // namespace floe::runtime

int main(int argc, char** argv) {
  floe::runtime::BlockShutdownSignals();
  floe::runtime::ProbeOptions options;
  floe::runtime::Config config("floe-probe", "Tells what the runtime gave it.");
  config.AddCommon(options.common);
  config.Add("peer", options.peer, "Another probe");
  config.Add("unready-file", options.unready_file, "While this file exists, /readyz fails");
  config.AddSecret("token", options.token, "A secret");
  if (const auto code = config.Parse(argc, argv)) return *code;
  return floe::runtime::ExitCode(floe::runtime::Run(options, config));
}
