// The tokenizer service over real gRPC, with a registry that the test owns.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>

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
#include "tokenizer/tokenizer_json.h"

namespace floe::services::tokenizer {
namespace {

using testing::HasSubstr;
namespace registry = floe::registry::v1;
namespace pb = floe::tokenizer::v1;
namespace domain = floe::tokenizer;

constexpr char kName[] = "teams/nlp/tokenizers/sample";

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

std::unique_ptr<grpc::Server> StartServer(const std::vector<grpc::Service*>& services, int& port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  return builder.BuildAndStart();
}

std::shared_ptr<grpc::Channel> ChannelTo(int port) {
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

TEST_F(TokenizerServiceTest, EncodesCountsAndDecodes) {
  pb::EncodeResponse encoded;
  ASSERT_TRUE(Encode(kName, domain::kProbe, encoded).ok());
  EXPECT_EQ(Ids(encoded.ids()), sample_->Encode(domain::kProbe));
  EXPECT_EQ(encoded.tokenizer_digest(), digest_);

  pb::CountRequest count;
  count.set_tokenizer(kName);
  count.set_text(domain::kProbe);
  pb::CountResponse counted;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Count, count, counted).ok());
  EXPECT_EQ(counted.tokens(), encoded.ids_size());

  pb::DecodeRequest decode;
  decode.set_tokenizer(kName);
  *decode.mutable_ids() = encoded.ids();
  pb::DecodeResponse decoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Decode, decode, decoded).ok());
  EXPECT_EQ(decoded.text(), domain::kProbe);
  EXPECT_EQ(registry_.downloads(), 1);
}

TEST_F(TokenizerServiceTest, SpecialTokensOnlyOnRequest) {
  pb::EncodeResponse plain, special;
  ASSERT_TRUE(Encode(kName, "<|im_end|>", plain).ok());
  ASSERT_TRUE(Encode(kName, "<|im_end|>", special, true).ok());
  EXPECT_GT(plain.ids_size(), 1);
  EXPECT_EQ(Ids(special.ids()), std::vector<domain::TokenId>{402});
}

TEST_F(TokenizerServiceTest, OffsetsSayWhereTokensEnd) {
  pb::EncodeRequest request;
  request.set_tokenizer(kName);
  request.set_text("a<|im_end|> \u00e9");
  request.set_parse_special(true);
  request.set_offsets(true);
  pb::EncodeResponse answer;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Encode, request, answer).ok());
  ASSERT_EQ(answer.ends_size(), answer.ids_size());
  EXPECT_EQ(answer.ends(0), 1u);
  EXPECT_EQ(answer.ends(1), 11u);
  EXPECT_EQ(answer.ends(answer.ends_size() - 1), request.text().size());
}

TEST_F(TokenizerServiceTest, OffsetsBesideATokenThatTakesWhiteSpaceAlongAreNotOffered) {
  domain::Vocabulary vocabulary = domain::TrainSample(domain::Pattern::kQwen2);
  const auto id = static_cast<domain::TokenId>(vocabulary.tokens.size() + 100);
  vocabulary.added.push_back({.id = id, .content = "<mask>", .lstrip = true});
  registry_.Put("teams/nlp/tokenizers/masked", domain::WriteTokenizerJson(vocabulary));
  pb::EncodeRequest request;
  request.set_tokenizer("teams/nlp/tokenizers/masked");
  request.set_text("a <mask>");
  request.set_parse_special(true);
  request.set_offsets(true);
  pb::EncodeResponse answer;
  const grpc::Status refused = Call(&pb::TokenizerService::Stub::Encode, request, answer);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("<mask>"));
  request.set_text("a b");  // without it there are offsets
  EXPECT_TRUE(Call(&pb::TokenizerService::Stub::Encode, request, answer).ok());
}

TEST_F(TokenizerServiceTest, BatchesAnswerInOrder) {
  pb::BatchEncodeRequest encode;
  encode.set_tokenizer(kName);
  pb::BatchCountRequest count;
  count.set_tokenizer(kName);
  for (int i = 0; i < 100; ++i) {
    encode.add_texts(absl::StrCat("text ", i * i));
    count.add_texts(absl::StrCat("text ", i * i));
  }
  pb::BatchEncodeResponse encoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, encode, encoded).ok());
  pb::BatchCountResponse counted;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchCount, count, counted).ok());
  pb::BatchDecodeRequest decode;
  decode.set_tokenizer(kName);
  *decode.mutable_sequences() = encoded.sequences();
  pb::BatchDecodeResponse decoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchDecode, decode, decoded).ok());
  ASSERT_EQ(decoded.texts_size(), 100);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(decoded.texts(i), encode.texts(i));
    EXPECT_EQ(counted.tokens(i), encoded.sequences(i).ids_size());
  }
}

TEST_F(TokenizerServiceTest, ABatchHasALimit) {
  pb::BatchCountRequest count;
  count.set_tokenizer(kName);
  for (int i = 0; i <= kMaxBatch; ++i) count.add_texts(std::string(1, 'x'));
  pb::BatchCountResponse counted;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::BatchCount, count, counted);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("texts has 1025 entries"));
}

TEST_F(TokenizerServiceTest, AnotherTeamsTokenizerIsNotFoundEvenWhenItIsCached) {
  pb::EncodeResponse answer;
  ASSERT_TRUE(Encode(kName, "x", answer).ok());
  const grpc::Status status = Encode(kName, "x", answer, false, "other");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(TokenizerServiceTest, ANewRevisionCountsAtOnceAndTheOldOneKeepsItsDigest) {
  pb::EncodeResponse first, second, pinned;
  ASSERT_TRUE(Encode(kName, "the river", first).ok());
  const std::string newer = registry_.Put(
      kName, domain::WriteTokenizerJson(domain::TrainSample(domain::Pattern::kGpt2, 300)));
  ASSERT_TRUE(Encode(kName, "the river", second).ok());
  EXPECT_EQ(second.tokenizer_digest(), newer);
  ASSERT_TRUE(Encode(std::string(kName) + "@sha256:" + digest_, "the river", pinned).ok());
  EXPECT_EQ(Ids(pinned.ids()), Ids(first.ids()));
}

TEST_F(TokenizerServiceTest, TheLeastRecentlyUsedTokenizerLeavesFirst) {
  const std::string base = "teams/nlp/tokenizers/";
  for (const int size : {300, 310}) {
    registry_.Put(absl::StrCat(base, "t", size),
                  domain::WriteTokenizerJson(domain::TrainSample(domain::Pattern::kQwen2, size)));
  }
  pb::EncodeResponse answer;
  for (const std::string name : {"sample", "t300", "sample", "t310", "sample"}) {
    ASSERT_TRUE(Encode(base + name, "x", answer).ok());
  }
  EXPECT_EQ(registry_.downloads(), 3);  // `sample` stayed
  EXPECT_EQ(cache_->size(), 2u);
  ASSERT_TRUE(Encode(base + "t300", "x", answer).ok());
  EXPECT_EQ(registry_.downloads(), 4);
}

TEST_F(TokenizerServiceTest, DamagedAndForeignFilesAreRefusedAndNotKept) {
  registry_.Damage(digest_);
  pb::EncodeResponse answer;
  EXPECT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::DATA_LOSS);
  registry_.Put(kName, "{\"model\": {\"type\": \"Unigram\"}}");
  const grpc::Status status = Encode(kName, "x", answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("model.type is \"Unigram\""));
  EXPECT_EQ(cache_->size(), 0u);
}

TEST_F(TokenizerServiceTest, NamesWhatIsWrongInARequest) {
  pb::EncodeResponse answer;
  for (const std::string name :
       {"", "sample", "teams/nlp/models/x", "teams/nlp/tokenizers/x@sha256:12"}) {
    const grpc::Status status = Encode(name, "x", answer);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
    EXPECT_THAT(status.error_message(), HasSubstr("teams/<team>/tokenizers/<tokenizer>"));
  }
  pb::DecodeRequest decode;
  decode.set_tokenizer(kName);
  decode.add_ids(1);
  decode.add_ids(4'000'000'000u);
  pb::DecodeResponse decoded;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::Decode, decode, decoded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("ids[1] is 4000000000"));
}

// Latin-1 and random bytes: what goes in comes out, and is counted.
TEST_F(TokenizerServiceTest, AnyBytesEncodeAndComeBack) {
  std::mt19937 random(41);
  for (const std::string& bytes : {std::string("caf\xE9 na\xEFve \xFF"), std::string("\0a\0", 3),
                                   domain::RandomBytes(random, 3000)}) {
    pb::EncodeResponse encoded;
    const grpc::Status status = Encode(kName, bytes, encoded);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Ids(encoded.ids()), sample_->Encode(bytes));

    pb::CountRequest count;
    count.set_tokenizer(kName);
    count.set_text(bytes);
    pb::CountResponse counted;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Count, count, counted).ok());
    EXPECT_EQ(counted.tokens(), encoded.ids_size());

    pb::BatchEncodeRequest batch;
    batch.set_tokenizer(kName);
    batch.add_texts(bytes);
    pb::BatchEncodeResponse batched;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, batch, batched).ok());
    EXPECT_EQ(Ids(batched.sequences(0).ids()), Ids(encoded.ids()));

    pb::DecodeRequest decode;
    decode.set_tokenizer(kName);
    *decode.mutable_ids() = encoded.ids();
    pb::DecodeResponse decoded;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Decode, decode, decoded).ok());
    EXPECT_EQ(decoded.text(), domain::ReplaceInvalidUtf8(bytes));
    EXPECT_EQ(decoded.raw(), decoded.text() == bytes ? "" : bytes);
  }
}

TEST_F(TokenizerServiceTest, AFileThatWasRestoredWorksWithoutARestart) {
  registry_.Damage(digest_);
  pb::EncodeResponse answer;
  ASSERT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::DATA_LOSS);
  registry_.Put(kName, sample_->ToJson());
  EXPECT_TRUE(Encode(kName, "x", answer).ok());
}

TEST_F(TokenizerServiceTest, AnEmptyTextAndAnEmptyBatchAreNoMistake) {
  pb::EncodeResponse encoded;
  ASSERT_TRUE(Encode(kName, "", encoded).ok());
  EXPECT_EQ(encoded.ids_size(), 0);
  pb::BatchEncodeRequest batch;
  batch.set_tokenizer(kName);
  pb::BatchEncodeResponse batched;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, batch, batched).ok());
  EXPECT_EQ(batched.sequences_size(), 0);
}

TEST_F(TokenizerServiceTest, ABadIdInABatchIsNamedByItsPlace) {
  pb::BatchDecodeRequest decode;
  decode.set_tokenizer(kName);
  decode.add_sequences()->add_ids(1);
  decode.add_sequences()->add_ids(1);
  decode.mutable_sequences(1)->add_ids(9'999);
  pb::BatchDecodeResponse decoded;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::BatchDecode, decode, decoded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("sequences[1].ids[1] is 9999"));
}

// Without the registry nobody knows whose a tokenizer is, so that a cached one does not answer.
TEST_F(TokenizerServiceTest, ARegistryThatIsAwayIsUnavailable) {
  pb::EncodeResponse answer;
  ASSERT_TRUE(Encode(kName, "x", answer).ok());
  registry_server_->Shutdown();
  EXPECT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace floe::services::tokenizer
