#include "tokenizer/train_from_file.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::tokenizer {
namespace {

using Phase = TrainFileProgress::Phase;

// Documents gathered before they go over several threads.
constexpr size_t kBatchBytes = 4 << 20;

absl::Status Cancelled() { return absl::CancelledError("tokenizer training was cancelled"); }

void Report(const TrainFileOptions& options, Phase phase, int64_t done, int64_t total) {
  if (options.on_progress) options.on_progress({phase, done, total});
}

using VisitBatch = std::function<absl::Status(const std::vector<std::string_view>&)>;

// The file's documents in batches, with progress and cancellation between them.
absl::Status ForEachBatch(const TrainFileOptions& options, std::string_view file, Phase phase,
                          const VisitBatch& visit) {
  std::vector<std::string> batch;
  size_t batch_bytes = 0;
  int64_t done = 0;
  const auto flush = [&]() -> absl::Status {
    if (options.stop.stop_requested()) return Cancelled();
    const std::vector<std::string_view> views(batch.begin(), batch.end());
    FLOE_RETURN_IF_ERROR(visit(views));
    done += static_cast<int64_t>(batch_bytes);
    Report(options, phase, done, static_cast<int64_t>(file.size()));
    batch.clear();
    batch_bytes = 0;
    return absl::OkStatus();
  };
  FLOE_RETURN_IF_ERROR(ForEachDocument(file, options.format, [&](std::string_view document) {
    batch.emplace_back(document);
    batch_bytes += document.size();
    return batch_bytes < kBatchBytes ? absl::OkStatus() : flush();
  }));
  FLOE_RETURN_IF_ERROR(flush());
  Report(options, phase, static_cast<int64_t>(file.size()), static_cast<int64_t>(file.size()));
  return absl::OkStatus();
}

absl::StatusOr<Vocabulary> Train(const TrainFileOptions& options, std::string_view file) {
  TrainOptions train = options.train;
  train.stop = options.stop;
  train.on_progress = [&](const TrainProgress& progress) {
    Report(options, Phase::kMerging, progress.merges_done, progress.merges_total);
  };
  FLOE_ASSIGN_OR_RETURN(Trainer trainer, Trainer::Create(std::move(train)));
  FLOE_RETURN_IF_ERROR(ForEachBatch(options, file, Phase::kCounting, [&](const auto& documents) {
    trainer.AddAll(documents, options.threads);
    return absl::OkStatus();
  }));
  return trainer.Train();
}

absl::Status Check(const TrainFileOptions& options, std::string_view file,
                   TrainedTokenizer& trained) {
  const Tokenizer& tokenizer = *trained.tokenizer;
  return ForEachBatch(options, file, Phase::kChecking, [&](const auto& documents) -> absl::Status {
    const auto encoded = tokenizer.EncodeBatch(documents, options.threads);
    for (size_t i = 0; i < documents.size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(const std::string back, tokenizer.Decode(encoded[i]));
      if (back != documents[i]) {
        return absl::InternalError(
            absl::StrCat("document ", trained.documents + 1, " does not come back from its ids"));
      }
      ++trained.documents;
      trained.bytes += static_cast<int64_t>(documents[i].size());
      trained.tokens += static_cast<int64_t>(encoded[i].size());
    }
    return absl::OkStatus();
  });
}

absl::Status WithPath(const absl::Status& status, const std::filesystem::path& path) {
  if (status.ok() || status.code() == absl::StatusCode::kCancelled) return status;
  return absl::Status(status.code(), absl::StrCat(path.string(), ": ", status.message()));
}

}  // namespace

absl::StatusOr<TrainedTokenizer> TrainTokenizerFromFile(const TrainFileOptions& options) {
  FLOE_RETURN_IF_ERROR(Trainer::Create(options.train).status());  // mistakes before any reading
  FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(options.corpus));
  auto vocabulary = Train(options, file.bytes());
  if (!vocabulary.ok()) return WithPath(vocabulary.status(), options.corpus);
  TrainedTokenizer trained;
  FLOE_ASSIGN_OR_RETURN(trained.tokenizer, Tokenizer::Create(*std::move(vocabulary)));
  FLOE_RETURN_IF_ERROR(WithPath(Check(options, file.bytes(), trained), options.corpus));
  return trained;
}

}  // namespace floe::tokenizer
