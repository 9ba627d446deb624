// floe tokenizer train | encode | decode | ls; import and export in tokenizer_file_commands.cc
#include <iostream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/commands/submit.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = tokenizer::v1;
namespace reg = registry::v1;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxText = 32 << 20;  // of one call; the door takes messages up to 64 MiB

struct TrainFlags {
  std::string name, dataset;
  int64_t vocab_size = 4096;
  std::string pattern = "qwen2";
  std::vector<std::string> special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  bool watch = false;
};

absl::Status Train(Session& session, const TrainFlags& flags) {
  const Json spec = {{"name", flags.name},
                     {"dataset", flags.dataset},
                     {"vocab_size", flags.vocab_size},
                     {"pattern", flags.pattern},
                     {"special_tokens", flags.special_tokens}};
  return SubmitAndTell(session, {"tokenizer", "tokenizer.train", spec.dump()}, flags.watch);
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
};

absl::Status Encode(Session& session, const EncodeFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::EncodeRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_tokenizer(),
                        session.ResourceName("tokenizers", flags.tokenizer));
  FLOE_ASSIGN_OR_RETURN(*request.mutable_text(), InputText(session, flags.file, flags.text));
  request.set_parse_special(flags.parse_special);
  const size_t bytes = request.text().size();
  FLOE_ASSIGN_OR_RETURN(const pb::EncodeResponse answer,
                        door->Ask(door->tokenizer(), &pb::TokenizerService::Stub::Encode, request));
  if (session.json) {
    session.PrintJson({{"ids", std::vector<uint32_t>(answer.ids().begin(), answer.ids().end())},
                       {"tokens", answer.ids_size()},
                       {"bytes", bytes},
                       {"tokenizer_digest", answer.tokenizer_digest()}});
    return absl::OkStatus();
  }
  session.out() << absl::StrJoin(answer.ids(), " ") << "\n";
  if (session.streams.err_is_terminal && answer.ids_size() > 0) {
    session.err() << absl::StrFormat(
        "%s tokens, %s, %.2f bytes a token\n", HumanCount(answer.ids_size()),
        HumanBytes(static_cast<int64_t>(bytes)), static_cast<double>(bytes) / answer.ids_size());
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
    session.out() << answer.text();  // exactly the text: what was encoded comes out again
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
  command->add_flag("-w,--watch", train.watch, "Follow the job to its end");
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
  line.OnRun(command, [&encode](Session& session) { return Encode(session, encode); });

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
