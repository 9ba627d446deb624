// floe tokenizer train | encode | count | decode | ls; import and export in
// tokenizer_file_commands.cc
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands/chat_count.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/commands/submit.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "tokenizer/text_cutter.h"

namespace floe::cli {
namespace {

namespace pb = tokenizer::v1;
namespace reg = registry::v1;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxText = 32 << 20;  // of one call; the door takes messages up to 64 MiB
constexpr size_t kPartBytes = 4 << 20;   // of a long text in one call

struct TrainFlags {
  std::string name, dataset;
  int64_t vocab_size = 4096;
  std::string pattern = "qwen2";
  std::vector<std::string> special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  int64_t max_memory_mb = 8192;
  SubmitFlags submit;
};

absl::Status Train(Session& session, const TrainFlags& flags) {
  const Json spec = {{"name", flags.name},
                     {"dataset", flags.dataset},
                     {"vocab_size", flags.vocab_size},
                     {"pattern", flags.pattern},
                     {"special_tokens", flags.special_tokens},
                     {"max_memory_mb", flags.max_memory_mb}};
  return SubmitAndTell(session, {"tokenizer", "tokenizer.train", spec.dump()}, flags.submit);
}

// From a file, from stdin ("-"), or from the words of the command line.
absl::StatusOr<std::string> InputText(Session& session, const std::string& file,
                                      const std::vector<std::string>& words) {
  if (file == "-" || (file.empty() && words.empty())) {
    return std::string(std::istreambuf_iterator<char>(session.streams.in),
                       std::istreambuf_iterator<char>());
  }
  if (!file.empty()) return ReadFile(session.folder / file, kMaxText);
  return absl::StrJoin(words, " ");
}

struct EncodeFlags {
  std::string tokenizer, file;
  std::vector<std::string> text;
  bool parse_special = false;
  bool offsets = false;
};

// Sends one part of the text and writes its ids; `begin` is where it begins in the whole.
class PartEncoder {
 public:
  PartEncoder(Session& session, Door& door, std::string tokenizer, const EncodeFlags& flags)
      : session_(session), door_(door), tokenizer_(std::move(tokenizer)), flags_(flags) {}

  absl::Status Encode(std::string text) {
    if (text.empty()) return absl::OkStatus();
    pb::EncodeRequest request;
    request.set_tokenizer(tokenizer_);
    request.set_text(std::move(text));
    request.set_parse_special(flags_.parse_special);
    request.set_offsets(flags_.offsets);
    FLOE_ASSIGN_OR_RETURN(
        const pb::EncodeResponse answer,
        door_.Ask(door_.tokenizer(), &pb::TokenizerService::Stub::Encode, request));
    for (int i = 0; i < answer.ids_size(); ++i) {
      if (session_.json) {
        ids_.push_back(answer.ids(i));
        if (flags_.offsets) ends_.push_back(bytes_ + answer.ends(i));
      } else if (flags_.offsets) {
        session_.out() << answer.ids(i) << "\t" << bytes_ + (i == 0 ? 0 : answer.ends(i - 1))
                       << "\t" << bytes_ + answer.ends(i) << "\n";
      } else {
        session_.out() << (tokens_ + i == 0 ? "" : " ") << answer.ids(i);
      }
    }
    // Of a text that was brought into NFC, its length in that form.
    bytes_ += answer.ends_size() > 0 ? answer.ends(answer.ends_size() - 1) : request.text().size();
    tokens_ += answer.ids_size();
    digest_ = answer.tokenizer_digest();
    return absl::OkStatus();
  }

  void Finish() {
    if (session_.json) {
      Json result = {{"ids", std::move(ids_)}};
      if (flags_.offsets) result["ends"] = std::move(ends_);
      result.update(Json{{"tokens", tokens_}, {"bytes", bytes_}, {"tokenizer_digest", digest_}});
      session_.PrintJson(result);
      return;
    }
    if (!flags_.offsets) session_.out() << "\n";
    if (session_.streams.err_is_terminal && tokens_ > 0) {
      session_.err() << absl::StrFormat("%s tokens, %s, %.2f bytes a token\n", HumanCount(tokens_),
                                        HumanBytes(static_cast<int64_t>(bytes_)),
                                        static_cast<double>(bytes_) / static_cast<double>(tokens_));
    }
  }

 private:
  Session& session_;
  Door& door_;
  const std::string tokenizer_;
  const EncodeFlags& flags_;
  std::vector<uint32_t> ids_;   // only for JSON, which is one object
  std::vector<uint64_t> ends_;  // the same
  std::string digest_;
  int64_t tokens_ = 0;
  uint64_t bytes_ = 0;
};

using VisitPart = absl::FunctionRef<absl::Status(std::string)>;

absl::Status ForEachPart(std::istream& in, const std::string& name, VisitPart visit) {
  tokenizer::TextCutter cutter;
  std::string buffer(kPartBytes, '\0');
  size_t waiting = 0;
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto read = static_cast<size_t>(in.gcount());
    std::string part = cutter.Push({buffer.data(), read});
    waiting += read - part.size();
    if (waiting > kMaxText) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " has ", kMaxText >> 20,
                       " MiB without a word or number that ends: its ids would "
                       "have to be found in one call. Is it a text?"));
    }
    FLOE_RETURN_IF_ERROR(visit(std::move(part)));
  }
  if (in.bad()) return absl::DataLossError(absl::StrCat("cannot read ", name));
  return visit(cutter.Flush());
}

// The words of the command line, or a file or stdin of any length: what is held here is a part.
absl::Status ForEachPartOfInput(Session& session, const std::string& file,
                                const std::vector<std::string>& words, VisitPart visit) {
  if (file.empty() && !words.empty()) return visit(absl::StrJoin(words, " "));
  if (file.empty() || file == "-") return ForEachPart(session.streams.in, "standard input", visit);
  const std::filesystem::path path = session.folder / file;
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoStatus(errno, absl::StrCat("cannot open ", path.string()));
  return ForEachPart(in, path.string(), visit);
}

absl::Status Encode(Session& session, const EncodeFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string name,
                        session.ResourceName("tokenizers", flags.tokenizer));
  PartEncoder encoder(session, *door, name, flags);
  if (flags.parse_special) {  // a written special token may lie across a cut: in one call
    FLOE_ASSIGN_OR_RETURN(std::string text, InputText(session, flags.file, flags.text));
    FLOE_RETURN_IF_ERROR(encoder.Encode(std::move(text)));
  } else {
    FLOE_RETURN_IF_ERROR(ForEachPartOfInput(session, flags.file, flags.text, [&](std::string part) {
      return encoder.Encode(std::move(part));
    }));
  }
  encoder.Finish();
  return absl::OkStatus();
}

struct CountFlags {
  std::string tokenizer, file, chat;
  std::vector<std::string> text;
};

absl::Status CountMessages(Session& session, const CountFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const std::string chat, InputText(session, flags.chat, {}));
  FLOE_ASSIGN_OR_RETURN(const int64_t tokens, CountChat(session, flags.tokenizer, chat));
  if (session.json) {
    session.PrintJson({{"tokens", tokens}});
  } else {
    session.out() << tokens << "\n";
  }
  return absl::OkStatus();
}

absl::Status Count(Session& session, const CountFlags& flags) {
  if (!flags.chat.empty()) return CountMessages(session, flags);
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CountRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_tokenizer(),
                        session.ResourceName("tokenizers", flags.tokenizer));
  int64_t tokens = 0, bytes = 0;
  FLOE_RETURN_IF_ERROR(
      ForEachPartOfInput(session, flags.file, flags.text, [&](std::string part) -> absl::Status {
        if (part.empty()) return absl::OkStatus();
        bytes += static_cast<int64_t>(part.size());
        request.set_text(std::move(part));
        FLOE_ASSIGN_OR_RETURN(
            const pb::CountResponse answer,
            door->Ask(door->tokenizer(), &pb::TokenizerService::Stub::Count, request));
        tokens += answer.tokens();
        return absl::OkStatus();
      }));
  if (session.json) {
    session.PrintJson({{"tokens", tokens}, {"bytes", bytes}});
  } else {
    session.out() << tokens << "\n";
  }
  return absl::OkStatus();
}

struct DecodeFlags {
  std::string tokenizer, file;
  std::vector<std::string> ids;
};

absl::Status Decode(Session& session, const DecodeFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string text, InputText(session, flags.file, flags.ids));
  pb::DecodeRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_tokenizer(),
                        session.ResourceName("tokenizers", flags.tokenizer));
  for (const auto& word : absl::StrSplit(text, absl::ByAnyChar(" ,\t\r\n[]"), absl::SkipEmpty())) {
    uint32_t id = 0;
    if (!absl::SimpleAtoi(word, &id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", word, "' is no token id; give whole numbers, separated by spaces"));
    }
    request.add_ids(id);
  }
  FLOE_ASSIGN_OR_RETURN(const pb::DecodeResponse answer,
                        door->Ask(door->tokenizer(), &pb::TokenizerService::Stub::Decode, request));
  if (session.json) {
    session.PrintJson({{"text", answer.text()}});
  } else {
    // Exactly what was encoded, be it UTF-8 or not.
    session.out() << (answer.raw().empty() ? answer.text() : answer.raw());
    if (session.streams.out_is_terminal) session.out() << "\n";
  }
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  reg::ListTokenizersRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  FLOE_ASSIGN_OR_RETURN(
      const std::vector<reg::Tokenizer> tokenizers,
      (ListAll<reg::Tokenizer>(
          *door, door->registry(), &reg::RegistryService::Stub::ListTokenizers, request,
          [](auto& page) -> auto& { return *page.mutable_tokenizers(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(tokenizers));
    return absl::OkStatus();
  }
  Table table(
      {"TOKENIZER", ">VOCABULARY", ">BYTES/TOKEN", "DIGEST", "DATASET", "JOB", "REGISTERED"});
  for (const reg::Tokenizer& one : tokenizers) {
    table.Add({LastId(one.name()), HumanCount(one.vocab_size()),
               one.bytes_per_token() > 0 ? absl::StrFormat("%.2f", one.bytes_per_token()) : "-",
               ShortDigest(one.digest()), ShortDigest(one.dataset_digest()),
               one.job().empty() ? "-" : LastId(one.job()),
               HumanTime(TimeOf(one.create_time()), absl::LocalTimeZone())});
  }
  session.out() << (table.empty() ? "No tokenizers yet; `floe tokenizer train` makes one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

}  // namespace

void AddTokenizerCommands(CommandLine& line) {
  CLI::App* group = AddGroup(line.app(), "tokenizer", "Text to token ids and back");
  auto& train = line.Keep<TrainFlags>();
  CLI::App* command =
      AddCommand(*group, "train", "Train a byte-level BPE tokenizer on a dataset, as a job",
                 "  floe tokenizer train --name words --dataset corpus --vocab-size 4096 --watch");
  command->add_option("--name", train.name, "The tokenizer's id")->required();
  command->add_option("--dataset", train.dataset, "The dataset's id, or id@sha256:<digest>")
      ->required();
  command->add_option("--vocab-size", train.vocab_size, "Ids in all, special tokens included")
      ->capture_default_str();
  command
      ->add_option("--pattern", train.pattern,
                   "How text is cut first: gpt2, cl100k, qwen2 or o200k")
      ->capture_default_str();
  command
      ->add_option("--special-token", train.special_tokens,
                   "Tokens that ordinary text never produces")
      ->capture_default_str();
  command
      ->add_option("--max-memory-mb", train.max_memory_mb,
                   "Of the runner; a text with more different words than that holds is refused")
      ->capture_default_str();
  AddSubmitOptions(*command, train.submit);
  line.OnRun(command, [&train](Session& session) { return Train(session, train); });

  auto& encode = line.Keep<EncodeFlags>();
  command = AddCommand(*group, "encode", "Token ids of a text",
                       "  floe tokenizer encode words 'A dog barks.'\n"
                       "  floe tokenizer encode words --file a.txt | floe tokenizer decode words");
  command->add_option("tokenizer", encode.tokenizer, "Its id, or id@sha256:<digest>")->required();
  command->add_option("text", encode.text, "The text [from stdin]");
  command->add_option("--file", encode.file, "Read the text from a file; - is stdin");
  command->add_flag("--special", encode.parse_special,
                    "Written special tokens become their ids; for text you trust");
  command->add_flag("--offsets", encode.offsets,
                    "A line a token: its id, where it begins and where it ends, in bytes");
  line.OnRun(command, [&encode](Session& session) { return Encode(session, encode); });

  auto& count = line.Keep<CountFlags>();
  command = AddCommand(*group, "count",
                       "How many tokens a text or a chat has: what a prompt is billed for",
                       "  floe tokenizer count words --file prompt.txt\n"
                       "  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | \\\n"
                       "       floe tokenizer count words --chat -");
  command->add_option("tokenizer", count.tokenizer, "Its id, or id@sha256:<digest>")->required();
  command->add_option("text", count.text, "The text [from stdin]");
  command->add_option("--file", count.file, "Read the text from a file; - is stdin");
  command
      ->add_option("--chat", count.chat,
                   "A file with messages, or with a whole chat request (its tools and tool_choice "
                   "count too), in JSON; - is stdin")
      ->excludes("--file")
      ->excludes("text");
  line.OnRun(command, [&count](Session& session) { return Count(session, count); });

  auto& decode = line.Keep<DecodeFlags>();
  command = AddCommand(*group, "decode", "The text of token ids",
                       "  floe tokenizer decode words 312 88 1045");
  command->add_option("tokenizer", decode.tokenizer, "Its id, or id@sha256:<digest>")->required();
  command->add_option("ids", decode.ids, "The ids [from stdin]");
  command->add_option("--file", decode.file, "Read the ids from a file; - is stdin");
  line.OnRun(command, [&decode](Session& session) { return Decode(session, decode); });

  command = AddCommand(*group, "ls", "List the team's tokenizers", "  floe tokenizer ls");
  line.OnRun(command, List);
  AddTokenizerFileCommands(*group, line);
}

}  // namespace floe::cli
