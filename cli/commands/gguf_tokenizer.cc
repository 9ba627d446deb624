#include "cli/commands/gguf_tokenizer.h"

#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"

namespace floe::cli {
namespace {

using Json = nlohmann::json;
using floe::tokenizer::AddedToken;
using floe::tokenizer::Merge;
using floe::tokenizer::Tokenizer;
using floe::tokenizer::Vocabulary;

// llama.cpp's names for the patterns (llama-vocab.cpp). Its llama-bpe looks a whole piece up before
// it merges, as ignore_merges asks; dbrx cuts alike and does not.
absl::StatusOr<std::string> PreTokenizerName(const Vocabulary& vocabulary) {
  const std::string_view pattern = floe::tokenizer::PatternName(vocabulary.pattern);
  if (pattern == "gpt2") return "gpt-2";
  if (pattern == "qwen2") return "qwen2";
  if (pattern == "cl100k") return vocabulary.ignore_merges ? "llama-bpe" : "dbrx";
  if (pattern == "o200k") return "gpt-4o";
  return absl::UnimplementedError(
      absl::StrCat("llama.cpp has no name for the pattern ", AbslView(pattern)));
}

// "eos_token": "<|im_end|>", or an object with that content.
std::optional<int64_t> IdOf(const Tokenizer& tokenizer, const Json& config, const char* key) {
  const auto member = config.find(key);
  if (member == config.end()) return std::nullopt;
  const Json content = member->is_object() ? member->value("content", Json()) : *member;
  if (!content.is_string()) return std::nullopt;
  return tokenizer.SpecialId(content.get_ref<const std::string&>());
}

void ReadConfig(const Tokenizer& tokenizer, const std::string& text, model::GgufTokenizer& out) {
  const Json config = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return;
  out.bos = IdOf(tokenizer, config, "bos_token");
  out.eos = IdOf(tokenizer, config, "eos_token");
  out.pad = IdOf(tokenizer, config, "pad_token");
  const auto add_bos = config.find("add_bos_token");
  out.add_bos = out.bos && add_bos != config.end() && add_bos->is_boolean() && add_bos->get<bool>();
  const auto chat = config.find("chat_template");
  if (chat != config.end() && chat->is_string()) out.chat_template = chat->get<std::string>();
}

}  // namespace

absl::StatusOr<model::GgufTokenizer> GgufTokenizerOf(
    const std::map<std::string, std::string>& files) {
  using Type = model::GgufTokenizer::Type;
  const auto json = files.find("tokenizer.json");
  if (json == files.end()) {
    return absl::FailedPreconditionError(
        "the version has no tokenizer.json, without which a GGUF file has no words");
  }
  FLOE_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(json->second));
  const Vocabulary& vocabulary = tokenizer->vocabulary();
  model::GgufTokenizer out;
  FLOE_ASSIGN_OR_RETURN(out.pre, PreTokenizerName(vocabulary));
  out.tokens.resize(static_cast<size_t>(tokenizer->vocab_size()));
  for (size_t id = 0; id < out.tokens.size(); ++id) {
    const bool known = id < vocabulary.tokens.size() && !vocabulary.tokens[id].empty();
    if (known) {
      out.tokens[id].text = floe::tokenizer::SpellBytes(vocabulary.tokens[id]);
    } else {
      out.tokens[id] = {absl::StrCat("[PAD", id, "]"), Type::kUnused};
    }
  }
  for (const AddedToken& added : vocabulary.added) {
    out.tokens[added.id] = {added.content, added.special ? Type::kControl : Type::kUserDefined};
  }
  for (const Merge& merge : vocabulary.merges) {
    out.merges.push_back(absl::StrCat(floe::tokenizer::SpellBytes(vocabulary.tokens[merge.left]),
                                      " ",
                                      floe::tokenizer::SpellBytes(vocabulary.tokens[merge.right])));
  }
  const auto config = files.find("tokenizer_config.json");
  if (config != files.end()) ReadConfig(*tokenizer, config->second, out);
  return out;
}

}  // namespace floe::cli
