#include "tokenizer/train_from_file.h"

#include <deque>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "tokenizer/text_cutter.h"

namespace floe::tokenizer {
namespace {

using Phase = TrainFileProgress::Phase;

// Text gathered before it goes over several threads, and what one of them takes at a time.
constexpr size_t kBatchBytes = 4 << 20;
constexpr size_t kPartBytes = 256 << 10;

absl::Status Cancelled() { return absl::CancelledError("tokenizer training was cancelled"); }

void Report(const TrainFileOptions& options, Phase phase, int64_t done, int64_t total) {
  if (options.on_progress) options.on_progress({phase, done, total});
}

using VisitBatch = std::function<absl::Status(std::span<const std::string_view>)>;

// The file's documents in batches, with progress and cancellation between them; returns how many
// they are. A long one comes in parts, cut where that changes neither pieces nor ids, so that
// memory holds a batch whatever the length of documents and file.
absl::StatusOr<int64_t> ForEachBatch(const TrainFileOptions& options, const MappedFile& file,
                                     Phase phase, const VisitBatch& visit) {
  const auto total = static_cast<int64_t>(file.bytes().size());
  std::vector<std::string_view> batch;
  std::deque<std::string> unescaped;  // what JSON lines say does not stand in the file
  size_t batch_bytes = 0;
  int64_t documents = 0, done = 0;
  const auto flush = [&]() -> absl::Status {
    if (options.stop.stop_requested()) return Cancelled();
    FLOE_RETURN_IF_ERROR(visit(batch));
    done += static_cast<int64_t>(batch_bytes);
    Report(options, phase, done, total);
    batch.clear();
    unescaped.clear();
    batch_bytes = 0;
    file.DropPages();
    return absl::OkStatus();
  };
  FLOE_RETURN_IF_ERROR(
      ForEachDocument(file.bytes(), options.format, [&](std::string_view document) {
        ++documents;
        for (std::string_view part : CutIntoParts(document, kPartBytes)) {
          if (options.format == TextFormat::kJsonl) part = unescaped.emplace_back(part);
          batch.push_back(part);
          batch_bytes += part.size();
          if (batch_bytes >= kBatchBytes) FLOE_RETURN_IF_ERROR(flush());
        }
        return absl::OkStatus();
      }));
  FLOE_RETURN_IF_ERROR(flush());
  Report(options, phase, total, total);
  return documents;
}

absl::StatusOr<Vocabulary> Train(const TrainFileOptions& options, const MappedFile& file) {
  TrainOptions train = options.train;
  train.stop = options.stop;
  train.on_progress = [&](const TrainProgress& progress) {
    Report(options, Phase::kMerging, progress.merges_done, progress.merges_total);
  };
  FLOE_ASSIGN_OR_RETURN(Trainer trainer, Trainer::Create(std::move(train)));
  FLOE_RETURN_IF_ERROR(ForEachBatch(options, file, Phase::kCounting, [&](auto parts) {
                         return trainer.AddAll(parts, options.threads);
                       }).status());
  return trainer.Train();
}

absl::Status Check(const TrainFileOptions& options, const MappedFile& file,
                   TrainedTokenizer& trained) {
  const Tokenizer& tokenizer = *trained.tokenizer;
  const auto check = [&](std::span<const std::string_view> parts) -> absl::Status {
    const auto encoded = tokenizer.EncodeBatch(parts, options.threads);
    for (size_t i = 0; i < parts.size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(const std::string back, tokenizer.Decode(encoded[i]));
      if (back != parts[i]) {
        return absl::InternalError(absl::StrCat("the text after its first ", trained.bytes,
                                                " bytes does not come back from its ids"));
      }
      trained.bytes += static_cast<int64_t>(parts[i].size());
      trained.tokens += static_cast<int64_t>(encoded[i].size());
    }
    return absl::OkStatus();
  };
  FLOE_ASSIGN_OR_RETURN(trained.documents, ForEachBatch(options, file, Phase::kChecking, check));
  return absl::OkStatus();
}

absl::Status WithPath(const absl::Status& status, const std::filesystem::path& path) {
  if (status.ok() || status.code() == absl::StatusCode::kCancelled) return status;
  return absl::Status(status.code(), absl::StrCat(path.string(), ": ", status.message()));
}

}  // namespace

absl::StatusOr<TrainedTokenizer> TrainTokenizerFromFile(const TrainFileOptions& options) {
  FLOE_RETURN_IF_ERROR(Trainer::Create(options.train).status());  // mistakes before any reading
  FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(options.corpus));
  auto vocabulary = Train(options, file);
  if (!vocabulary.ok()) return WithPath(vocabulary.status(), options.corpus);
  TrainedTokenizer trained;
  FLOE_ASSIGN_OR_RETURN(trained.tokenizer, Tokenizer::Create(*std::move(vocabulary)));
  FLOE_RETURN_IF_ERROR(WithPath(Check(options, file, trained), options.corpus));
  return trained;
}

}  // namespace floe::tokenizer
