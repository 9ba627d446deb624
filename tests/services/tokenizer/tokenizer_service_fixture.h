// The tokenizer service over real gRPC, with a registry that the test owns.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "services/runtime/call.h"
#include "services/tokenizer/registry_tokenizers.h"
#include "services/tokenizer/tokenizer_cache.h"
#include "services/tokenizer/tokenizer_rpc.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::services::tokenizer {

namespace registry = floe::registry::v1;
namespace pb = floe::tokenizer::v1;
namespace domain = floe::tokenizer;

inline constexpr char kName[] = "teams/nlp/tokenizers/sample";

// A registry of tokenizers in memory, which looks at the caller's team as the real one does.
class FakeRegistry final : public registry::RegistryService::Service,
                           public registry::BlobService::Service {
 public:
  std::string Put(const std::string& name, const std::string& bytes) {
    std::lock_guard lock(mutex_);
    const std::string digest = Sha256::Hex(bytes);
    blobs_[digest] = bytes;
    names_[name] = digest;
    names_[name + "@sha256:" + digest] = digest;
    return digest;
  }
  void Damage(const std::string& digest) {
    std::lock_guard lock(mutex_);
    blobs_[digest][10] ^= 1;
  }
  int downloads() {
    std::lock_guard lock(mutex_);
    return downloads_;
  }

  grpc::Status GetTokenizer(grpc::ServerContext* context,
                            const registry::GetTokenizerRequest* request,
                            registry::Tokenizer* answer) override {
    const auto team = context->client_metadata().find(runtime::kTeamKey);
    std::string prefix = "teams/";
    if (team != context->client_metadata().end()) {
      prefix.append(team->second.data(), team->second.size()).append("/");
    }
    std::lock_guard lock(mutex_);
    const auto found = names_.find(request->name());
    if (found == names_.end() || !request->name().starts_with(prefix)) {
      return {grpc::StatusCode::NOT_FOUND, "no tokenizer " + request->name()};
    }
    answer->set_name(request->name());
    answer->set_digest(found->second);
    return grpc::Status::OK;
  }

  grpc::Status DownloadBlob(grpc::ServerContext*, const registry::DownloadBlobRequest* request,
                            grpc::ServerWriter<registry::DownloadBlobResponse>* writer) override {
    std::string bytes;
    {
      std::lock_guard lock(mutex_);
      ++downloads_;
      bytes = blobs_[request->digest()];
    }
    for (size_t at = 0; at < bytes.size(); at += 1000) {
      registry::DownloadBlobResponse part;
      part.set_chunk(bytes.substr(at, 1000));
      writer->Write(part);
    }
    return grpc::Status::OK;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> names_;  // guarded by mutex_: name -> digest
  std::map<std::string, std::string> blobs_;  // guarded by mutex_: digest -> bytes
  int downloads_ = 0;                         // guarded by mutex_
};

inline std::unique_ptr<grpc::Server> StartServer(const std::vector<grpc::Service*>& services,
                                                 int& port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  return builder.BuildAndStart();
}

inline std::shared_ptr<grpc::Channel> ChannelTo(int port) {
  return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
}

class TokenizerServiceTest : public testing::Test {
 protected:
  TokenizerServiceTest() {
    registry::RegistryService::Service& names = registry_;
    registry::BlobService::Service& blobs = registry_;
    int port = 0;
    registry_server_ = StartServer({&names, &blobs}, port);
    files_ = MakeRegistryTokenizers(ChannelTo(port));
    cache_ = std::make_unique<TokenizerCache>(*files_, 2);
    rpc_ = std::make_unique<TokenizerRpc>(calls_, *cache_, 2);
    server_ = StartServer({rpc_.get()}, port);
    stub_ = pb::TokenizerService::NewStub(ChannelTo(port));
    digest_ = registry_.Put(kName, sample_->ToJson());
  }

  // Calls `method` with `request` as team `team`.
  template <typename Answer, typename Method, typename Request>
  grpc::Status Call(Method method, const Request& request, Answer& answer,
                    const std::string& team = "nlp") {
    grpc::ClientContext context;
    context.AddMetadata(runtime::kTeamKey, team);
    return (stub_.get()->*method)(&context, request, &answer);
  }
  grpc::Status Encode(const std::string& name, const std::string& text, pb::EncodeResponse& answer,
                      bool parse_special = false, const std::string& team = "nlp") {
    pb::EncodeRequest request;
    request.set_tokenizer(name);
    request.set_text(text);
    request.set_parse_special(parse_special);
    return Call(&pb::TokenizerService::Stub::Encode, request, answer, team);
  }
  static std::vector<domain::TokenId> Ids(const auto& ids) { return {ids.begin(), ids.end()}; }

  test::FakeClock clock_;
  test::FakeIds ids_;
  runtime::Logger logger_{"tokenizer", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "tokenizer.floe"}};
  std::unique_ptr<const domain::Tokenizer> sample_ = domain::SampleTokenizer();
  FakeRegistry registry_;
  std::unique_ptr<grpc::Server> registry_server_;
  std::unique_ptr<TokenizerFiles> files_;
  std::unique_ptr<TokenizerCache> cache_;
  std::unique_ptr<TokenizerRpc> rpc_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<pb::TokenizerService::Stub> stub_;
  std::string digest_;
};

}  // namespace floe::services::tokenizer
