// Datasets, tokenizers, versions and lineage over a real channel and a real Postgres.
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/sha256.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Stub = v1::RegistryService::Stub;

class RegistryRpcTest : public RegistryTest {
 protected:
  v1::CreateDatasetRequest DatasetRequest(const std::string& id, const std::string& digest) {
    v1::CreateDatasetRequest request;
    request.set_parent("teams/nlp");
    request.set_dataset_id(id);
    request.mutable_dataset()->set_digest(digest);
    request.mutable_dataset()->set_format("text");
    request.mutable_dataset()->set_documents(3);
    request.mutable_dataset()->set_description("from WordNet");
    return request;
  }
  v1::CreateTokenizerRequest TokenizerRequest(const std::string& id, const std::string& digest) {
    v1::CreateTokenizerRequest request;
    request.set_parent("teams/nlp");
    request.set_tokenizer_id(id);
    request.mutable_tokenizer()->set_digest(digest);
    request.mutable_tokenizer()->set_vocab_size(4096);
    request.mutable_tokenizer()->set_bytes_per_token(4.1234567890123456);
    request.mutable_tokenizer()->set_job("tokenizer-1");
    return request;
  }
};

TEST_F(RegistryRpcTest, ADatasetIsRegisteredByDigestAndReadByNameOrRevision) {
  const std::string digest = Upload("some text");
  const auto made = client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", digest));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name(), "teams/nlp/datasets/wordnet");
  EXPECT_EQ(made->size_bytes(), 9);
  EXPECT_EQ(made->documents(), 3);
  EXPECT_EQ(made->description(), "from WordNet");
  EXPECT_EQ(made->creator(), "key-1");
  EXPECT_EQ(made->create_time().seconds(), absl::ToUnixSeconds(clock_.Now()));

  clock_.Advance(absl::Seconds(5));
  const std::string newer = Upload("other text");
  ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", newer)).ok());
  EXPECT_EQ(client_->GetDataset(As("nlp"), made->name())->digest(), newer);
  const auto old = client_->GetDataset(As("nlp"), made->name() + "@sha256:" + digest);
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ(old->digest(), digest);
  // The same content under the same name is the revision that exists.
  const auto again = client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", digest));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->create_time().seconds(), made->create_time().seconds());
}

TEST_F(RegistryRpcTest, ATokenizerKeepsEveryFieldToTheLastBit) {
  auto request = TokenizerRequest("bpe", Upload("{}"));
  request.mutable_tokenizer()->set_config_digest(Upload("{\"config\": 1}"));
  request.mutable_tokenizer()->set_dataset_digest(Sha256::Hex("text"));
  const auto made = client_->CreateTokenizer(As("nlp"), request);
  ASSERT_TRUE(made.ok()) << made.status();
  const auto read = client_->GetTokenizer(As("nlp"), "teams/nlp/tokenizers/bpe");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), made->SerializeAsString());
  EXPECT_EQ(read->bytes_per_token(), 4.1234567890123456);
  EXPECT_EQ(read->vocab_size(), 4096);
  EXPECT_EQ(read->config_digest(), request.tokenizer().config_digest());
  EXPECT_EQ(read->dataset_digest(), request.tokenizer().dataset_digest());
  EXPECT_EQ(read->job(), "tokenizer-1");
  // A revision does not change.
  request.mutable_tokenizer()->clear_config_digest();
  EXPECT_EQ(client_->CreateTokenizer(As("nlp"), request).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(RegistryRpcTest, NamesTheFieldThatIsWrong) {
  const std::string digest = Upload("text");
  const auto dataset = [&](auto change) {
    auto request = DatasetRequest("wordnet", digest);
    change(request);
    const auto made = client_->CreateDataset(As("nlp"), request);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
    return std::string(made.status().message());
  };
  EXPECT_THAT(dataset([](auto& r) { r.set_dataset_id("No Spaces"); }), HasSubstr("dataset_id"));
  EXPECT_THAT(dataset([](auto& r) { r.set_parent("nlp"); }), HasSubstr("teams/<id>"));
  EXPECT_THAT(dataset([](auto& r) { r.mutable_dataset()->set_digest("12"); }), HasSubstr("digest"));
  EXPECT_THAT(dataset([](auto& r) { r.mutable_dataset()->set_format("csv"); }), HasSubstr("csv"));
  EXPECT_THAT(dataset([](auto& r) { r.mutable_dataset()->set_documents(-1); }), HasSubstr("-1"));
  EXPECT_THAT(
      dataset([](auto& r) { r.mutable_dataset()->set_description(std::string("a\0b", 3)); }),
      HasSubstr("NUL"));
  auto tokenizer = TokenizerRequest("bpe", digest);
  tokenizer.mutable_tokenizer()->set_vocab_size(0);
  EXPECT_THAT(std::string(client_->CreateTokenizer(As("nlp"), tokenizer).status().message()),
              HasSubstr("vocab_size is 0"));
}

TEST_F(RegistryRpcTest, BlobsThatWereNotUploadedAreNamed) {
  const std::string digest = Sha256::Hex("never sent");
  const auto dataset = client_->CreateDataset(As("nlp"), DatasetRequest("ghost", digest));
  EXPECT_EQ(dataset.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(dataset.status())->reason, "BLOB_MISSING");
  EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(digest));
  EXPECT_TRUE(
      absl::IsNotFound(client_->GetDataset(As("nlp"), "teams/nlp/datasets/ghost").status()));
}

TEST_F(RegistryRpcTest, PublishingReadsEverythingFromTheManifest) {
  const std::string dataset = Upload("corpus");
  const std::string tokenizer = Upload("{}");
  ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", dataset)).ok());
  ASSERT_TRUE(client_->CreateTokenizer(As("nlp"), TokenizerRequest("bpe", tokenizer)).ok());
  const std::map<std::string, std::string> files = {{"config.json", "{}"},
                                                    {"model.safetensors", "weights"}};
  Upload("weights");
  const model::Manifest manifest = ManifestOf(files, {"", dataset, tokenizer});
  v1::CreateModelVersionRequest request;
  request.set_parent("teams/nlp/models/hamlet");
  auto& draft = *request.mutable_model_version();
  draft.set_manifest(manifest.Serialize());
  draft.set_digest("ignored");
  draft.mutable_lineage()->set_job("trainer-7");
  draft.mutable_lineage()->set_parent_digest("ignored");
  (*draft.mutable_metrics())["held_out_loss"] = 3.1;
  const auto made = client_->CreateModelVersion(As("nlp"), request);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name(), "teams/nlp/models/hamlet/versions/1");
  EXPECT_EQ(made->digest(), manifest.Digest());
  EXPECT_EQ(made->manifest(), manifest.Serialize());
  ASSERT_EQ(made->files_size(), 2);
  EXPECT_EQ(made->files(1).name(), "model.safetensors");
  EXPECT_EQ(made->files(1).digest(), Sha256::Hex("weights"));
  EXPECT_EQ(made->files(1).size_bytes(), 7);
  EXPECT_EQ(made->lineage().job(), "trainer-7");
  EXPECT_EQ(made->lineage().parent_digest(), "");
  EXPECT_EQ(made->lineage().dataset(), "teams/nlp/datasets/wordnet");
  EXPECT_EQ(made->lineage().tokenizer(), "teams/nlp/tokenizers/bpe");
  EXPECT_EQ(made->metrics().at("held_out_loss"), 3.1);
  EXPECT_EQ(made->creator(), "key-1");
  // V*D + q,k,v,o (16*16 + 2*16*8 + 16*16) + q,k norms (2*8) + ffn (3*16*32) + norms (3*16).
  EXPECT_EQ(made->parameters(), 64 * 16 + 768 + 16 + 1536 + 48);
  // A worker finds the manifest by the checkpoint's digest.
  EXPECT_EQ(*client_->DownloadBytes(As(""), made->digest(), 1 << 20), manifest.Serialize());
  const auto read = client_->GetModelVersion(As("nlp"), made->name());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->manifest(), made->manifest());
}

TEST_F(RegistryRpcTest, AVersionIsThereWithAllItsBlobsOrNotAtAll) {
  Upload("{}");
  const model::Manifest manifest =
      ManifestOf({{"config.json", "{}"}, {"model.safetensors", "lost weights"}});
  v1::CreateModelVersionRequest request;
  request.set_parent("teams/nlp/models/hamlet");
  request.mutable_model_version()->set_manifest(manifest.Serialize());
  const auto made = client_->CreateModelVersion(As("nlp"), request);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("model.safetensors"));
  v1::GetModelRequest get;
  get.set_name("teams/nlp/models/hamlet");
  v1::Model model;
  EXPECT_TRUE(absl::IsNotFound(Call(*registry_, &Stub::GetModel, get, model)));
  // With the blob, the same request goes through.
  Upload("lost weights");
  EXPECT_TRUE(client_->CreateModelVersion(As("nlp"), request).ok());
}

TEST_F(RegistryRpcTest, AManifestThatIsNotOneIsRefused) {
  v1::CreateModelVersionRequest request;
  request.set_parent("teams/nlp/models/hamlet");
  for (const std::string manifest : {"", "{}", "not json"}) {
    request.mutable_model_version()->set_manifest(manifest);
    const auto made = client_->CreateModelVersion(As("nlp"), request);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
    EXPECT_THAT(std::string(made.status().message()), HasSubstr("model_version.manifest"));
  }
  // A size that is not the blob's.
  Upload("{}");
  model::Manifest manifest = ManifestOf({{"config.json", "{}"}});
  manifest.files["config.json"].size = 3;
  request.mutable_model_version()->set_manifest(manifest.Serialize());
  EXPECT_EQ(client_->CreateModelVersion(As("nlp"), request).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(RegistryRpcTest, TheSameManifestAgainIsTheVersionThatExists) {
  const auto first = Publish("hamlet", "w1");
  ASSERT_TRUE(first.ok()) << first.status();
  clock_.Advance(absl::Seconds(9));
  const auto again = Publish("hamlet", "w1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(Publish("hamlet", "w2")->name(), "teams/nlp/models/hamlet/versions/2");
  EXPECT_EQ(Publish("macbeth", "w1")->name(), "teams/nlp/models/macbeth/versions/1");
}

TEST_F(RegistryRpcTest, ConcurrentPublishersGetDistinctNumbers) {
  constexpr int kPublishers = 8;
  std::vector<std::string> names(kPublishers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kPublishers; ++i) {
    threads.emplace_back([&, i] {
      const auto made = Publish("hamlet", absl::StrCat("weights ", i));
      if (made.ok()) names[static_cast<size_t>(i)] = made->name();
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> expected;
  for (int i = 1; i <= kPublishers; ++i) {
    expected.insert(absl::StrCat("teams/nlp/models/hamlet/versions/", i));
  }
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
}

TEST_F(RegistryRpcTest, ConcurrentPublishersOfOneCheckpointGetOneVersion) {
  std::vector<std::string> names(6);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < names.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto made = Publish("hamlet", "the same weights");
      names[i] = made.ok() ? made->name() : made.status().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(names, testing::Each("teams/nlp/models/hamlet/versions/1"));
}

TEST_F(RegistryRpcTest, RepeatingARequestIdReturnsTheFirstAnswer) {
  const std::string one = Upload("one");
  const std::string two = Upload("two");
  auto request = DatasetRequest("wordnet", one);
  request.set_request_id("r1");
  const auto first = client_->CreateDataset(As("nlp"), request);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", two)).ok());
  const auto again = client_->CreateDataset(As("nlp"), request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  // One id for two different changes is a mistake of the client.
  request.mutable_dataset()->set_digest(two);
  const auto reused = client_->CreateDataset(As("nlp"), request);
  EXPECT_EQ(reused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(reused.status())->reason, "REQUEST_ID_REUSED");
}

TEST_F(RegistryRpcTest, ARepeatedPublishAfterDeletionDoesNotBringTheVersionBack) {
  Upload("{}");
  v1::CreateModelVersionRequest request;
  request.set_parent("teams/nlp/models/hamlet");
  request.set_request_id("p1");
  request.mutable_model_version()->set_manifest(ManifestOf({{"config.json", "{}"}}).Serialize());
  const auto made = client_->CreateModelVersion(As("nlp"), request);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(client_->CreateModelVersion(As("nlp"), request)->name(), made->name());
  ASSERT_TRUE(Delete(made->name()).ok());
  const auto again = client_->CreateModelVersion(As("nlp"), request);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(again.status())->reason, "RESOURCE_DELETED");
}

TEST_F(RegistryRpcTest, ListsComeInPagesWithOpaqueTokens) {
  const std::string digest = Upload("text");
  for (const char* id : {"c", "a", "e", "b", "d"}) {
    ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest(id, digest)).ok());
  }
  ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest("a", Upload("newer"))).ok());
  v1::ListDatasetsRequest request;
  request.set_parent("teams/nlp");
  request.set_page_size(2);
  std::vector<std::string> seen;
  std::vector<int> sizes;
  do {
    v1::ListDatasetsResponse answer;
    ASSERT_TRUE(Call(*registry_, &Stub::ListDatasets, request, answer).ok());
    for (const auto& dataset : answer.datasets()) seen.push_back(dataset.name().substr(19));
    sizes.push_back(answer.datasets_size());
    request.set_page_token(answer.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  v1::ListDatasetsResponse answer;
  request.set_page_token("nonsense");
  EXPECT_TRUE(absl::IsInvalidArgument(Call(*registry_, &Stub::ListDatasets, request, answer)));
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(Call(*registry_, &Stub::ListDatasets, request, answer)));
}

TEST_F(RegistryRpcTest, VersionsAreListedNewestFirst) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(Publish("hamlet", absl::StrCat("w", i)).ok());
  v1::ListModelVersionsRequest request;
  request.set_parent("teams/nlp/models/hamlet");
  request.set_page_size(2);
  v1::ListModelVersionsResponse answer;
  ASSERT_TRUE(Call(*registry_, &Stub::ListModelVersions, request, answer).ok());
  ASSERT_EQ(answer.model_versions_size(), 2);
  EXPECT_EQ(answer.model_versions(0).name(), "teams/nlp/models/hamlet/versions/3");
  EXPECT_EQ(answer.model_versions(1).name(), "teams/nlp/models/hamlet/versions/2");
  request.set_page_token(answer.next_page_token());
  answer.Clear();
  ASSERT_TRUE(Call(*registry_, &Stub::ListModelVersions, request, answer).ok());
  ASSERT_EQ(answer.model_versions_size(), 1);
  EXPECT_EQ(answer.next_page_token(), "");
  // A token belongs to its list.
  request.set_parent("teams/nlp/models/macbeth");
  EXPECT_TRUE(absl::IsInvalidArgument(Call(*registry_, &Stub::ListModelVersions, request, answer)));
  request.clear_page_token();
  EXPECT_TRUE(absl::IsNotFound(Call(*registry_, &Stub::ListModelVersions, request, answer)));
}

TEST_F(RegistryRpcTest, AnotherTeamsResourcesAreNotFound) {
  const std::string digest = Upload("text");
  ASSERT_TRUE(client_->CreateDataset(As("nlp"), DatasetRequest("wordnet", digest)).ok());
  ASSERT_TRUE(Publish("hamlet", "w").ok());
  const auto as_vision = As("vision");
  const auto not_found = [](const auto& result) { return absl::IsNotFound(result.status()); };
  EXPECT_TRUE(not_found(client_->GetDataset(as_vision, "teams/nlp/datasets/wordnet")));
  EXPECT_TRUE(not_found(client_->GetTokenizer(as_vision, "teams/nlp/tokenizers/bpe")));
  EXPECT_TRUE(not_found(client_->GetModelVersion(as_vision, "teams/nlp/models/hamlet/versions/1")));
  EXPECT_TRUE(not_found(client_->ResolveModelVersion(as_vision, "teams/nlp", "hamlet@1")));
  EXPECT_TRUE(not_found(client_->ResolveModelVersion(as_vision, "teams/vision", "hamlet@1")));
  EXPECT_TRUE(not_found(client_->CreateDataset(as_vision, DatasetRequest("mine", digest))));
  v1::ListModelsRequest list;
  list.set_parent("teams/nlp");
  v1::ListModelsResponse models;
  EXPECT_TRUE(absl::IsNotFound(Call(*registry_, &Stub::ListModels, list, models, "vision")));
  list.set_parent("teams/vision");
  ASSERT_TRUE(Call(*registry_, &Stub::ListModels, list, models, "vision").ok());
  EXPECT_EQ(models.models_size(), 0);
  v1::GetModelRequest get;
  get.set_name("teams/nlp/models/hamlet");
  v1::Model model;
  EXPECT_TRUE(absl::IsNotFound(Call(*registry_, &Stub::GetModel, get, model, "vision")));
  v1::DeleteModelVersionRequest remove;
  remove.set_name("teams/nlp/models/hamlet/versions/1");
  v1::DeleteModelVersionResponse removed;
  EXPECT_TRUE(
      absl::IsNotFound(Call(*registry_, &Stub::DeleteModelVersion, remove, removed, "vision")));
  v1::SetAliasRequest set;
  set.set_name("teams/nlp/models/hamlet/aliases/production");
  set.set_version("teams/nlp/models/hamlet/versions/1");
  v1::Alias alias;
  EXPECT_TRUE(absl::IsNotFound(Call(*registry_, &Stub::SetAlias, set, alias, "vision")));
  // A service of the fleet sees them.
  EXPECT_TRUE(client_->ResolveModelVersion(As(""), "teams/nlp", "hamlet@1").ok());
}

TEST_F(RegistryRpcTest, ModelsAreListedWithTheirAliases) {
  ASSERT_TRUE(Publish("hamlet", "w1").ok());
  ASSERT_TRUE(Publish("hamlet", "w2").ok());
  ASSERT_TRUE(Publish("macbeth", "w1").ok());
  ASSERT_TRUE(SetAlias("hamlet", "production", 1).ok());
  v1::ListModelsRequest list;
  list.set_parent("teams/nlp");
  v1::ListModelsResponse models;
  ASSERT_TRUE(Call(*registry_, &Stub::ListModels, list, models).ok());
  ASSERT_EQ(models.models_size(), 2);
  EXPECT_EQ(models.models(0).name(), "teams/nlp/models/hamlet");
  EXPECT_EQ(models.models(0).version_count(), 2);
  EXPECT_EQ(models.models(0).latest_version(), "teams/nlp/models/hamlet/versions/2");
  ASSERT_EQ(models.models(0).aliases_size(), 1);
  EXPECT_EQ(models.models(0).aliases(0).version(), "teams/nlp/models/hamlet/versions/1");
  EXPECT_EQ(models.models(0).aliases(0).history_size(), 0);
}

TEST_F(RegistryRpcTest, WithoutItsDatabaseTheRegistrySaysUnavailableAndComesBack) {
  const std::string digest = Upload("text");
  test::Postgres::Shared().Stop();
  v1::GetBlobRequest request;
  request.set_digest(digest);
  v1::Blob blob;
  const absl::Status away = Call(*blobs_, &v1::BlobService::Stub::GetBlob, request, blob);
  test::Postgres::Shared().Start();
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable) << away;
  EXPECT_TRUE(Call(*blobs_, &v1::BlobService::Stub::GetBlob, request, blob).ok());
}

}  // namespace
}  // namespace floe::registry
