#include "tests/services/alignment/alignment_fleet.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "services/registry/client/checkpoint_transfer.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/chat_template.h"

namespace floe::alignment {

AlignmentFleet::AlignmentFleet() {
  alignment_address_ = StartService(
      "floe-alignment", {"--runner-memory-mib", "4096", "--registry", registry_address(), "--lease",
                         "10s", "--heartbeat-interval", "1s"});
  worker_address_ = StartService("floe-inference", {"--blob-dir", folder() / "blobs", "--cache-dir",
                                                    folder() / "cache", "--threads", "1"});
  model::Blueprint dials = inference::TinyBlueprint(model::Family::kQwen3);
  const auto sample = tokenizer::SampleTokenizer();
  dials.vocab_size = sample->vocab_size();
  const auto checkpoint = folder() / "base";
  inference::WriteFormulaCheckpoint(
      checkpoint, dials, 0.1f,
      {{"tokenizer.json", sample->ToJson()},
       {"tokenizer_config.json", tokenizer::TokenizerConfigJson(*sample)}});
  registry::RegistryClient client(registry());
  const auto published = registry::PublishCheckpoint(client, trainer::As("nlp"),
                                                     "teams/nlp/models/tiny", checkpoint, {});
  EXPECT_TRUE(published.ok()) << published.status();
  base_ = published.value_or(registry::v1::ModelVersion());
}

void AlignmentFleet::StartAlignmentRunner() {
  StartRunnerWith({"--queues", absl::StrCat("alignment=", alignment_address_), "--workers",
                   worker_address_, "--memory-mib", "4096"});
}

void AlignmentFleet::Import(const std::string& id, const std::string& format,
                            const std::string& bytes) {
  registry::RegistryClient client(registry());
  const auto blob = client.UploadBytes(trainer::As("nlp"), bytes);
  ASSERT_TRUE(blob.ok()) << blob.status();
  registry::v1::CreateDatasetRequest request;
  request.set_parent("teams/nlp");
  request.set_dataset_id(id);
  request.mutable_dataset()->set_digest(blob->digest());
  request.mutable_dataset()->set_format(format);
  ASSERT_TRUE(client.CreateDataset(trainer::As("nlp"), request).ok());
}

}  // namespace floe::alignment
