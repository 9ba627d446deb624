// floe tokenizer import | export: tokenizers as files.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/door/blobs.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tiktoken_ranks.h"
#include "tokenizer/tokenizer.h"

namespace floe::cli {
namespace {

namespace reg = registry::v1;
namespace tok = floe::tokenizer;
using TokenizerPtr = std::unique_ptr<const tok::Tokenizer>;

constexpr uint64_t kMaxFile = 256 << 20;

struct ImportFlags {
  std::string file, name, out, config;
  std::string format = "hf";
  std::string encoding, pattern;
  std::vector<std::string> special_tokens;
};

// `--special-token '<|end|>=128001'`.
absl::StatusOr<std::vector<tok::AddedToken>> SpecialTokens(const std::vector<std::string>& flags) {
  std::vector<tok::AddedToken> tokens;
  for (const std::string& flag : flags) {
    const size_t sign = flag.rfind('=');
    tok::AddedToken token;
    if (sign == std::string::npos || sign == 0 ||
        !absl::SimpleAtoi(flag.substr(sign + 1), &token.id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--special-token '", flag, "' must be TOKEN=ID, such as <|end|>=128001"));
    }
    token.content = flag.substr(0, sign);
    tokens.push_back(std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const tok::AddedToken& a, const tok::AddedToken& b) { return a.id < b.id; });
  return tokens;
}

absl::StatusOr<TokenizerPtr> FromRanks(const ImportFlags& flags, std::string_view file) {
  tok::RankFileOptions options;
  if (!flags.encoding.empty()) {
    FLOE_ASSIGN_OR_RETURN(options, tok::PublishedEncoding(flags.encoding));
  } else if (const auto pattern = tok::PatternFromName(flags.pattern)) {
    options.pattern = *pattern;
    FLOE_ASSIGN_OR_RETURN(options.special, SpecialTokens(flags.special_tokens));
  } else {
    return absl::InvalidArgumentError(
        "a rank file does not say how text is cut: give --encoding gpt2, p50k_base, "
        "cl100k_base, o200k_base or llama3, or --pattern gpt2, cl100k, qwen2 or o200k");
  }
  FLOE_ASSIGN_OR_RETURN(tok::Vocabulary vocabulary, tok::ParseTiktokenRanks(file, options));
  return tok::Tokenizer::Create(std::move(vocabulary));
}

absl::StatusOr<TokenizerPtr> Read(Session& session, const ImportFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const std::string file, ReadFile(session.folder / flags.file, kMaxFile));
  auto tokenizer = flags.format == "tiktoken" ? FromRanks(flags, file) : tok::Tokenizer::Load(file);
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(flags.file, ": ", tokenizer.status().message()));
}

absl::StatusOr<reg::Tokenizer> Publish(Session& session, const ImportFlags& flags,
                                       const tok::Tokenizer& tokenizer, const std::string& json) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  std::string config = tok::TokenizerConfigJson(tokenizer);
  if (!flags.config.empty()) {
    FLOE_ASSIGN_OR_RETURN(config, ReadFile(session.folder / flags.config, kMaxFile));
  }
  reg::CreateTokenizerRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  request.set_tokenizer_id(flags.name);
  request.set_request_id(NewRequestId());
  request.mutable_tokenizer()->set_digest(Sha256::Hex(json));
  request.mutable_tokenizer()->set_config_digest(Sha256::Hex(config));
  request.mutable_tokenizer()->set_vocab_size(tokenizer.vocab_size());
  for (const std::string_view bytes : {std::string_view(json), std::string_view(config)}) {
    FLOE_RETURN_IF_ERROR(UploadBlob(*door, Sha256::Hex(bytes), bytes, [](int64_t) {}).status());
  }
  return door->Ask(door->registry(), &reg::RegistryService::Stub::CreateTokenizer, request);
}

// A full disk with what to do about it.
absl::Status Write(const std::filesystem::path& out, const std::string& json) {
  const absl::Status status = WriteFileAtomically(out, json);
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::ResourceExhaustedError(absl::StrCat(
      status.message(), "; the tokenizer takes ", json.size(),
      " bytes, and none of them was kept. Free that much space there, or name an --out "
      "on another disk"));
}

absl::Status Import(Session& session, const ImportFlags& flags) {
  if (flags.name.empty() == flags.out.empty()) {
    return absl::InvalidArgumentError(
        "give --name to register the tokenizer, or --out FILE to write a tokenizer.json");
  }
  if (!flags.name.empty() && !IsResourceId(flags.name)) {
    return absl::InvalidArgumentError(absl::StrCat("'", flags.name,
                                                   "' cannot name a tokenizer: an id is 1 to 63 "
                                                   "of a-z 0-9 - _ . and starts with a letter or "
                                                   "digit"));
  }
  FLOE_ASSIGN_OR_RETURN(const TokenizerPtr tokenizer, Read(session, flags));
  const std::string json = tokenizer->ToJson();
  if (!flags.out.empty()) {
    FLOE_RETURN_IF_ERROR(Write(session.folder / flags.out, json));
    if (session.json) {
      session.PrintJson({{"file", flags.out}, {"vocab_size", tokenizer->vocab_size()}});
    } else {
      session.out() << flags.out << " holds " << HumanCount(tokenizer->vocab_size()) << " ids\n";
    }
    return absl::OkStatus();
  }
  FLOE_ASSIGN_OR_RETURN(const reg::Tokenizer made, Publish(session, flags, *tokenizer, json));
  if (session.json) {
    session.PrintJson(ToJson(made));
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("tokenizer", made.name());
  fields.Add("digest", "sha256:" + made.digest());
  fields.Add("ids", HumanCount(made.vocab_size()));
  session.out() << fields.Render();
  return absl::OkStatus();
}

struct ExportFlags {
  std::string tokenizer, file;
};

absl::Status Export(Session& session, const ExportFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  reg::GetTokenizerRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(),
                        session.ResourceName("tokenizers", flags.tokenizer));
  FLOE_ASSIGN_OR_RETURN(
      const reg::Tokenizer tokenizer,
      door->Ask(door->registry(), &reg::RegistryService::Stub::GetTokenizer, request));
  const std::string name = flags.file.empty() ? "tokenizer.json" : flags.file;
  std::error_code error;
  if (std::filesystem::exists(session.folder / name, error)) {
    return absl::AlreadyExistsError(absl::StrCat(name, " exists already; name one that does not"));
  }
  FLOE_RETURN_IF_ERROR(
      DownloadBlob(*door, tokenizer.digest(), session.folder / name, [](int64_t) {}));
  if (session.json) {
    session.PrintJson({{"file", name}, {"tokenizer", ToJson(tokenizer)}});
  } else {
    session.out() << name << " holds " << LastId(tokenizer.name()) << " ("
                  << HumanCount(tokenizer.vocab_size()) << " ids)\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddTokenizerFileCommands(CLI::App& group, CommandLine& line) {
  auto& importing = line.Keep<ImportFlags>();
  CLI::App* command = AddCommand(
      group, "import", "Register a published tokenizer, or turn it into a tokenizer.json",
      "  floe tokenizer import qwen/tokenizer.json --name qwen\n"
      "  floe tokenizer import cl100k_base.tiktoken --format tiktoken --encoding cl100k_base \\\n"
      "       --out tokenizer.json                           needs no fleet\n"
      "  floe tokenizer import own.ranks --format tiktoken --pattern cl100k \\\n"
      "       --special-token '<|end|>=128000' --name own");
  command->add_option("file", importing.file, "A tokenizer.json, or a rank file")->required();
  command->add_option("--format", importing.format, "hf or tiktoken")
      ->check(CLI::IsMember({"hf", "tiktoken"}))
      ->capture_default_str();
  command->add_option("--encoding", importing.encoding,
                      "Of a rank file: gpt2, p50k_base, cl100k_base, o200k_base or llama3, "
                      "pattern and special tokens as published");
  command
      ->add_option("--pattern", importing.pattern,
                   "Of a rank file without --encoding: gpt2, cl100k, qwen2 or o200k")
      ->excludes("--encoding");
  command->add_option("--special-token", importing.special_tokens, "TOKEN=ID; may be given again")
      ->allow_extra_args(false)
      ->excludes("--encoding");
  command->add_option("--config", importing.config, "The tokenizer_config.json that goes with it");
  command->add_option("--name", importing.name, "The id to register it under");
  command->add_option("--out", importing.out, "The tokenizer.json to write")->excludes("--name");
  line.OnRun(command, [&importing](Session& session) { return Import(session, importing); });

  auto& exporting = line.Keep<ExportFlags>();
  command = AddCommand(group, "export", "Write a tokenizer as a tokenizer.json",
                       "  floe tokenizer export words words.json");
  command->add_option("tokenizer", exporting.tokenizer, "Its id, or id@sha256:<digest>")
      ->required();
  command->add_option("file", exporting.file, "Where to; must not exist [tokenizer.json]");
  line.OnRun(command, [&exporting](Session& session) { return Export(session, exporting); });
}

}  // namespace floe::cli
