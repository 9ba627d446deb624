// floe-bench-tokenizer: training and encoding beside Hugging Face's `tokenizers`, on the same
// documents with the same results. Prints the rows of bench/README.md.
//
//   --corpus FILE       a text to train on and to encode (its first 10 MB); without it WordNet's
//   glosses.
//                       scripts/documentation_corpus.sh makes one of 100 MB
//   --vocab-size N      of the training [4096; with --corpus 32000]
//   --ranks FILE        a tiktoken rank file of cl100k_base to encode with; without it the
//   vocabulary that
//                       was just trained
//   --texts DIR         *.txt in many languages, such as scripts/language_texts.sh makes
//
// Ids and merges must equal the peer's, or the bench fails. The peer runs where $FLOE_BENCH_PYTHON
// (python3) can import it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <optional>
#include <span>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "bench/program/program.h"
#include "bench/tokenizer/texts.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tiktoken_ranks.h"
#include "tokenizer/train_from_file.h"

namespace floe::tokenizer {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kEncodedBytes = 10000000;

struct Flags {
  std::string corpus, ranks, texts;
  int vocab_size = 0;
};

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double BestSeconds(int times, const std::function<void()>& work) {
  double best = Seconds(work);
  for (int i = 1; i < times; ++i) best = std::min(best, Seconds(work));
  return best;
}

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// What the peer says of `words` with that many threads; nothing when it is not there.
std::optional<Json> RunPeer(const std::vector<std::string>& words, int threads) {
  const char* python = getenv("FLOE_BENCH_PYTHON");
  std::string command = absl::StrCat("RAYON_NUM_THREADS=", threads, " TOKENIZERS_PARALLELISM=true ",
                                     ShellQuoted(python == nullptr ? "python3" : python), " ",
                                     ShellQuoted(FLOE_BENCH_PEER));
  for (const std::string& word : words) absl::StrAppend(&command, " ", ShellQuoted(word));
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  if (pclose(pipe) != 0) return std::nullopt;
  Json answer = Json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return std::nullopt;
  return answer;
}

Json Row(const std::string& work, double ours, const char* unit, const std::optional<Json>& peer,
         const char* key) {
  std::cerr << work << ": " << ours << " " << unit;
  if (peer) std::cerr << ", the peer " << (*peer)[key];
  std::cerr << "\n";
  return {{"work", work},
          {"ours", ours},
          {"unit", unit},
          {"peer", peer ? (*peer)[key] : Json()},
          {"peer_name", peer ? (*peer)["name"] : Json()},
          {"limit", nullptr}};
}

absl::Status SameDigest(const std::optional<Json>& peer, const std::string& ours,
                        const std::string& what) {
  if (!peer || (*peer)["digest"] == ours) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(what, " differ from those of ", (*peer)["name"].get<std::string>()));
}

std::string MergesDigest(const Vocabulary& vocabulary) {
  Sha256 sha;
  for (const Merge& merge : vocabulary.merges) {
    sha.Update(absl::StrCat(SpellBytes(vocabulary.tokens[merge.left]), " ",
                            SpellBytes(vocabulary.tokens[merge.right]), "\n"));
  }
  return sha.FinishHex();
}

// First of all work: the most memory that the process ever had is then that of training.
absl::StatusOr<std::unique_ptr<const Tokenizer>> Train(const std::filesystem::path& corpus,
                                                       double megabytes, int vocab_size, int cores,
                                                       Json& rows) {
  TrainFileOptions options;
  options.corpus = corpus;
  options.train.vocab_size = vocab_size;
  options.train.special_tokens = {};
  options.threads = cores;
  double seconds = 0;
  int64_t peak = 0;
  const auto start = std::chrono::steady_clock::now();
  options.on_progress = [&](const TrainFileProgress& progress) {
    if (progress.phase == TrainFileProgress::Phase::kChecking) return;  // the peer does not check
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    peak = int64_t{1024} * usage.ru_maxrss;
  };
  FLOE_ASSIGN_OR_RETURN(TrainedTokenizer trained, TrainTokenizerFromFile(options));
  const auto peer = RunPeer({"train", corpus.string(), absl::StrCat(vocab_size),
                             std::string(PatternRegex(options.train.pattern))},
                            cores);
  const std::string work =
      absl::StrCat("train ", vocab_size, " tokens on ", static_cast<int>(megabytes), " MB");
  rows.push_back(Row(work, seconds, "s", peer, "seconds"));
  rows.push_back(Row(work + ", peak memory", static_cast<double>(peak), "bytes", peer, "peak_rss"));
  FLOE_RETURN_IF_ERROR(
      SameDigest(peer, MergesDigest(trained.tokenizer->vocabulary()), "our merges"));
  return std::move(trained.tokenizer);
}

class Encoding {
 public:
  Encoding(const Tokenizer& tokenizer, std::string name, std::filesystem::path folder, Json& rows)
      : tokenizer_(tokenizer), name_(std::move(name)), folder_(std::move(folder)), rows_(rows) {}

  absl::Status Measure(const std::string& what, const Corpus& corpus, int threads,
                       bool with_peer = true) {
    const std::vector<std::string_view> views(corpus.documents.begin(), corpus.documents.end());
    Sha256 sha;
    for (const auto& ids : tokenizer_.EncodeBatch(views, threads)) {
      sha.Update({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(TokenId)});
    }
    const double rate =
        corpus.megabytes / BestSeconds(3, [&] { tokenizer_.EncodeBatch(views, threads); });
    std::optional<Json> peer;
    if (with_peer) {
      const bool whole = corpus.documents.size() == 1;
      FLOE_RETURN_IF_ERROR(
          WriteFileAtomically(folder_ / "text", whole ? corpus.documents.front() : corpus.Text()));
      FLOE_RETURN_IF_ERROR(WriteFileAtomically(folder_ / "tokenizer.json", tokenizer_.ToJson()));
      std::vector<std::string> words = {"encode", folder_ / "tokenizer.json", folder_ / "text"};
      if (whole) words.push_back("whole");
      peer = RunPeer(words, threads);
      FLOE_RETURN_IF_ERROR(SameDigest(peer, sha.FinishHex(), absl::StrCat("our ids of ", what)));
    }
    rows_.push_back(Row(absl::StrCat("encode ", what, ", ", name_, ", ", threads,
                                     threads == 1 ? " thread" : " threads"),
                        rate, "MB/s", peer, "rate"));
    return absl::OkStatus();
  }

 private:
  const Tokenizer& tokenizer_;
  const std::string name_;
  const std::filesystem::path folder_;
  Json& rows_;
};

absl::Status Run(const Flags& flags) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  std::filesystem::path file = flags.corpus;
  if (flags.corpus.empty()) {
    FLOE_ASSIGN_OR_RETURN(const Corpus glosses, WordNet());
    file = folder.path() / "corpus";
    FLOE_RETURN_IF_ERROR(WriteFileAtomically(file, glosses.Text()));
  }
  std::error_code error;
  const double megabytes = static_cast<double>(std::filesystem::file_size(file, error)) / 1e6;
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot read ", file.string()));
  const int vocab_size = flags.vocab_size > 0   ? flags.vocab_size
                         : flags.corpus.empty() ? 4096
                                                : 32000;
  Json rows = Json::array();
  FLOE_ASSIGN_OR_RETURN(auto tokenizer, Train(file, megabytes, vocab_size, cores, rows));
  std::string name = absl::StrCat(vocab_size, " tokens");
  if (!flags.ranks.empty()) {
    FLOE_ASSIGN_OR_RETURN(const RankFileOptions encoding, PublishedEncoding("cl100k_base"));
    FLOE_ASSIGN_OR_RETURN(const std::string ranks, ReadFile(flags.ranks));
    FLOE_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseTiktokenRanks(ranks, encoding));
    FLOE_ASSIGN_OR_RETURN(tokenizer, Tokenizer::Create(std::move(vocabulary)));
    name = "cl100k";
  }
  FLOE_ASSIGN_OR_RETURN(const Corpus english, LoadCorpus(file, kEncodedBytes));
  Encoding encoding(*tokenizer, name, folder.path(), rows);
  FLOE_RETURN_IF_ERROR(encoding.Measure("English", english, 1));
  FLOE_RETURN_IF_ERROR(encoding.Measure("English", english, cores));
  if (!flags.texts.empty()) {
    FLOE_ASSIGN_OR_RETURN(const Corpus languages, LoadFolder(flags.texts));
    FLOE_RETURN_IF_ERROR(encoding.Measure("many languages", languages, 1));
  }
  for (WorstCase& worst : WorstCases()) {
    const double size = static_cast<double>(worst.text.size()) / 1e6;
    FLOE_RETURN_IF_ERROR(encoding.Measure(worst.name, {{std::move(worst.text)}, size}, 1,
                                          /*with_peer=*/worst.utf8));
  }
  std::cout << Json{{"rows", rows}}.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::tokenizer

int main(int argc, char** argv) {
  floe::tokenizer::Flags flags;
  CLI::App app("How fast tokenizers are trained and texts are encoded", "floe-bench-tokenizer");
  app.add_option("--corpus", flags.corpus, "Text to train on and to encode");
  app.add_option("--vocab-size", flags.vocab_size, "Of the training");
  app.add_option("--ranks", flags.ranks, "A tiktoken rank file of cl100k_base to encode with");
  app.add_option("--texts", flags.texts, "A folder of *.txt in many languages");
  return floe::bench::Main(app, argc, argv, [&] { return floe::tokenizer::Run(flags); });
}
