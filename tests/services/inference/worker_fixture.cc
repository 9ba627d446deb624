#include "tests/services/inference/worker_fixture.h"

#include "base/files.h"
#include "model/checkpoint.h"
#include "registry/blobs/layout.h"
#include "services/inference/blob_source.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tokenizer/tokenizer.h"

namespace floe::inference {
namespace {

std::string TokenizerJson() {
  tokenizer::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  vocabulary.tokens.emplace_back();
  vocabulary.added.push_back({kEndOfText, "<|endoftext|>"});
  const auto tokenizer = tokenizer::Tokenizer::Create(std::move(vocabulary));
  if (!tokenizer.ok()) ADD_FAILURE() << tokenizer.status();
  return (*tokenizer)->ToJson();
}

}  // namespace

std::filesystem::path WorkerTest::BlobPath(std::string_view digest) const {
  return registry::BlobPath(dir_ / "blobs", digest);
}

std::string WorkerTest::Publish(float spread, int64_t context, std::string tokenizer_json,
                                int64_t layers) {
  if (tokenizer_json.empty()) tokenizer_json = TokenizerJson();
  model::Blueprint blueprint = TinyBlueprint(model::Family::kQwen3);
  blueprint.vocab_size = kEndOfText + 1;
  blueprint.context = context;
  blueprint.num_layers = layers;
  const std::filesystem::path folder = dir_ / "checkpoint";
  const std::string digest =
      WriteFormulaCheckpoint(folder, blueprint, spread, {{"tokenizer.json", tokenizer_json}});
  const auto manifest = ReadFile(folder / model::kManifestFile);
  EXPECT_TRUE(manifest.ok());
  std::filesystem::create_directories(BlobPath(digest).parent_path());
  std::filesystem::copy(folder / model::kManifestFile, BlobPath(digest));
  const auto parsed = model::Manifest::Parse(*manifest);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  for (const auto& [name, entry] : parsed->files) {
    std::filesystem::create_directories(BlobPath(entry.digest).parent_path());
    std::filesystem::copy(folder / name, BlobPath(entry.digest),
                          std::filesystem::copy_options::skip_existing);
  }
  std::filesystem::remove_all(folder);
  return digest;
}

void WorkerTest::Start(ModelPoolOptions options) {
  options.serve.engine.kv_bytes = std::min<int64_t>(options.serve.engine.kv_bytes, 4 << 20);
  cache_ = std::make_unique<NodeCache>(dir_ / "cache", MakeFolderBlobSource(dir_ / "blobs"));
  pool_ = std::make_unique<ModelPool>(*cache_, clock_, options);
  inference_metrics_ = std::make_unique<InferenceMetrics>(metrics_, *pool_);
  rpc_ = std::make_unique<InferenceRpc>(calls_, clock_, *pool_, *inference_metrics_);
  grpc::ServerBuilder builder;
  builder.RegisterService(rpc_.get());
  server_ = builder.BuildAndStart();
  stub_ = v1::InferenceService::NewStub(server_->InProcessChannel({}));
}

v1::GenerateRequest WorkerTest::Ask(const std::string& digest, std::string_view prompt,
                                    int max_tokens) {
  v1::GenerateRequest request;
  request.set_checkpoint_digest(digest);
  for (const unsigned char c : prompt) request.add_prompt_ids(c);
  request.set_max_tokens(max_tokens);
  return request;
}

WorkerTest::Answer WorkerTest::Generate(const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  Answer answer;
  const auto stream = stub_->Generate(&context, request);
  v1::GenerateResponse response;
  while (stream->Read(&response)) {
    EXPECT_FALSE(answer.finish.reason()) << "a message after the last one";
    if (++answer.messages == 1) answer.first_cached_tokens = response.cached_tokens();
    answer.ids.insert(answer.ids.end(), response.ids().begin(), response.ids().end());
    answer.text += response.text();
    answer.logprobs.insert(answer.logprobs.end(), response.log_probabilities().begin(),
                           response.log_probabilities().end());
    if (response.has_finish()) answer.finish = response.finish();
  }
  answer.status = stream->Finish();
  return answer;
}

}  // namespace floe::inference
