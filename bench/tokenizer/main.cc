// floe-bench-tokenizer [corpus]: how fast training and encoding are, in MB/s, on documents of a
// text file (blank lines between them; without one: the glosses of WordNet). Prints the rows of
// bench/README.md. The peer is Hugging Face's `tokenizers`, where $FLOE_BENCH_PYTHON (python3) can
// import it.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trainer.h"

namespace floe::tokenizer {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kVocabSize = 4096;

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

// The glosses of WordNet's data files, a document of fifty each.
absl::StatusOr<std::string> WordNetText() {
  std::string text;
  int glosses = 0;
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    const std::string path = absl::StrCat("/usr/share/wordnet/data.", part);
    auto file = ReadFile(path);
    if (!file.ok()) {
      return absl::NotFoundError(
          absl::StrCat(path, " is missing: apt-get install wordnet-base, or name a text file"));
    }
    for (std::string_view rest = *file; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size() - 1);
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      const size_t bar = line.find("| ");
      if (bar == std::string_view::npos) continue;
      absl::StrAppend(&text, AbslView(line.substr(bar + 2)), ++glosses % 50 == 0 ? "\n\n" : "\n");
    }
  }
  return text;
}

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + "'";
}

// What the peer measured with that many threads; nothing when it is not there.
std::optional<Json> RunPeer(const std::filesystem::path& corpus, const std::filesystem::path& file,
                            int threads, int vocab_size) {
  const char* python = getenv("FLOE_BENCH_PYTHON");
  const std::string command = absl::StrCat(
      "RAYON_NUM_THREADS=", threads, " TOKENIZERS_PARALLELISM=true ",
      ShellQuoted(python == nullptr ? "python3" : python), " ", ShellQuoted(FLOE_BENCH_PEER), " ",
      ShellQuoted(corpus.string()), " ", ShellQuoted(file.string()), " ", vocab_size);
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

Json Row(const std::string& work, double ours, const std::optional<Json>& peer, const char* key) {
  return {{"work", work},
          {"ours", ours},
          {"unit", "MB/s"},
          {"peer", peer ? (*peer)[key] : Json()},
          {"peer_name", peer ? (*peer)["name"] : Json()},
          {"limit", nullptr}};
}

struct Corpus {
  std::string text;
  std::vector<std::string> documents;
  double megabytes = 0;
};

absl::StatusOr<Corpus> LoadCorpus(int argc, char** argv) {
  Corpus corpus;
  FLOE_ASSIGN_OR_RETURN(corpus.text, argc > 1 ? ReadFile(argv[1]) : WordNetText());
  FLOE_RETURN_IF_ERROR(
      ForEachDocument(corpus.text, TextFormat::kText, [&](std::string_view document) {
        corpus.documents.emplace_back(document);
        corpus.megabytes += static_cast<double>(document.size()) / 1e6;
        return absl::OkStatus();
      }));
  // Both sides read the same documents, whatever blank lines the file had.
  corpus.text.clear();
  for (const std::string& document : corpus.documents) corpus.text += document + "\n\n";
  return corpus;
}

struct Ours {
  std::unique_ptr<const Tokenizer> tokenizer;
  double train = 0, encode = 0, encode_all = 0;  // MB/s
  size_t tokens = 0;
};

absl::StatusOr<Ours> Measure(const Corpus& corpus, int cores) {
  const std::vector<std::string_view> views(corpus.documents.begin(), corpus.documents.end());
  absl::StatusOr<Vocabulary> vocabulary = absl::UnknownError("not trained");
  Ours ours;
  ours.train = corpus.megabytes / Seconds([&] {
                 TrainOptions options;
                 options.vocab_size = kVocabSize;
                 options.special_tokens = {};
                 Trainer trainer = Trainer::Create(options).value();
                 trainer.AddAll(views, 1);
                 vocabulary = trainer.Train();
               });
  FLOE_RETURN_IF_ERROR(vocabulary.status());
  FLOE_ASSIGN_OR_RETURN(ours.tokenizer, Tokenizer::Create(*std::move(vocabulary)));
  for (const auto& ids : ours.tokenizer->EncodeBatch(views, 1)) ours.tokens += ids.size();
  ours.encode = corpus.megabytes / BestSeconds(3, [&] { ours.tokenizer->EncodeBatch(views, 1); });
  ours.encode_all =
      corpus.megabytes / BestSeconds(3, [&] { ours.tokenizer->EncodeBatch(views, cores); });
  return ours;
}

absl::Status Run(int argc, char** argv) {
  FLOE_ASSIGN_OR_RETURN(const Corpus corpus, LoadCorpus(argc, argv));
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::cerr << "corpus: " << corpus.megabytes << " MB, " << corpus.documents.size()
            << " documents\n";
  FLOE_ASSIGN_OR_RETURN(const Ours ours, Measure(corpus, cores));

  std::string pattern = (std::filesystem::temp_directory_path() / "floe-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return ErrnoStatus(errno, "cannot make " + pattern);
  const std::filesystem::path folder = pattern;
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(folder / "corpus.txt", corpus.text));
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(folder / "tokenizer.json", ours.tokenizer->ToJson()));
  std::optional<Json> one =
      RunPeer(folder / "corpus.txt", folder / "tokenizer.json", 1, kVocabSize);
  std::optional<Json> all;
  if (one) all = RunPeer(folder / "corpus.txt", folder / "tokenizer.json", cores, kVocabSize);
  std::error_code ignored;  // a folder that stays behind does not spoil the figures
  std::filesystem::remove_all(folder, ignored);
  if (one && (*one)["tokens"] != ours.tokens) {
    return absl::InternalError(absl::StrCat("the peer makes ", (*one)["tokens"].dump(),
                                            " tokens of the corpus, ours are ", ours.tokens));
  }
  std::cout << Json{{"rows",
                     {Row(absl::StrCat("train ", kVocabSize, " tokens, 1 thread"), ours.train, one,
                          "train"),
                      Row("encode, 1 thread", ours.encode, one, "encode"),
                      Row(absl::StrCat("encode, ", cores, " threads"), ours.encode_all, all,
                          "encode")}}}
                   .dump()
            << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::tokenizer

int main(int argc, char** argv) {
  const absl::Status status = floe::tokenizer::Run(argc, argv);
  if (status.ok()) return 0;
  std::cerr << "floe-bench-tokenizer: " << status.message() << "\n";
  return 1;
}
