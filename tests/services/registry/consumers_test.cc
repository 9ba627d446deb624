// Those who read from the registry, against the real one: the worker's node cache (by RPC and
// through a shared folder) and the tokenizer service's files.
#include "base/files.h"
#include "base/sha256.h"
#include "services/inference/blob_source.h"
#include "services/inference/node_cache.h"
#include "services/tokenizer/registry_tokenizers.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using inference::MakeFolderBlobSource;
using inference::MakeRegistryBlobSource;
using inference::NodeCache;

class ConsumersTest : public RegistryTest {
 protected:
  // An incoming call of `team`, as a service that forwards it has it.
  runtime::CallContext Incoming(const std::string& team) {
    return runtime::CallContext(context_, As(team).identity, absl::Now() + absl::Minutes(1),
                                draining_, logger_);
  }

  grpc::ServerContext context_;
  std::atomic<bool> draining_{false};
};

TEST_F(ConsumersTest, AWorkerFindsAPublishedVersionByItsDigestAlone) {
  const std::string weights(3 << 20, 'w');
  const auto version = Publish("hamlet", weights);
  ASSERT_TRUE(version.ok()) << version.status();
  NodeCache by_rpc(dir_ / "cache-rpc", MakeRegistryBlobSource(channel_, absl::Minutes(1)));
  NodeCache shared(dir_ / "cache-shared", MakeFolderBlobSource(dir_ / "blobs"));
  for (NodeCache* cache : {&by_rpc, &shared}) {
    const auto folder = cache->Fetch(version->digest());
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_EQ(*ReadFile(*folder / "floe.json"), version->manifest());
    EXPECT_TRUE(*ReadFile(*folder / "model.safetensors") == weights);
  }
}

TEST_F(ConsumersTest, AWorkerNeverLoadsChangedBytes) {
  const auto version = Publish("hamlet", std::string(3 << 20, 'w'));
  ASSERT_TRUE(version.ok()) << version.status();
  Damage(version->files(1).digest());
  NodeCache by_rpc(dir_ / "cache-rpc", MakeRegistryBlobSource(channel_, absl::Minutes(1)));
  NodeCache shared(dir_ / "cache-shared", MakeFolderBlobSource(dir_ / "blobs"));
  for (NodeCache* cache : {&by_rpc, &shared}) {
    EXPECT_EQ(cache->Fetch(version->digest()).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(ConsumersTest, AWorkerSaysThatThereIsNoSuchCheckpoint) {
  NodeCache by_rpc(dir_ / "cache-rpc", MakeRegistryBlobSource(channel_, absl::Minutes(1)));
  NodeCache shared(dir_ / "cache-shared", MakeFolderBlobSource(dir_ / "blobs"));
  for (NodeCache* cache : {&by_rpc, &shared}) {
    EXPECT_EQ(cache->Fetch(std::string(64, 'a')).status().code(), absl::StatusCode::kNotFound);
  }
}

TEST_F(ConsumersTest, TheTokenizerServiceResolvesAndFetchesForItsCaller) {
  const std::string json = "{\"model\": {}}";
  v1::CreateTokenizerRequest request;
  request.set_parent("teams/nlp");
  request.set_tokenizer_id("bpe");
  request.mutable_tokenizer()->set_digest(Upload(json));
  request.mutable_tokenizer()->set_vocab_size(300);
  ASSERT_TRUE(client_->CreateTokenizer(As("nlp"), request).ok());
  const auto files = services::tokenizer::MakeRegistryTokenizers(channel_);
  const auto call = Incoming("nlp");
  const std::string name = "teams/nlp/tokenizers/bpe";
  const auto digest = files->Resolve(call, name);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, Sha256::Hex(json));
  EXPECT_EQ(*files->Resolve(call, name + "@sha256:" + *digest), *digest);
  EXPECT_EQ(*files->Fetch(call, *digest), json);
  const auto other = Incoming("vision");
  EXPECT_EQ(files->Resolve(other, name).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(files->Fetch(other, *digest).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace floe::registry
