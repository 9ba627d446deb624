#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/byte_alphabet.h"

namespace floe::tokenizer {
namespace {

using Json = nlohmann::json;
using IdOfSpelling = absl::flat_hash_map<std::string, TokenId>;

constexpr char kNfc[] = R"({"type": "NFC"})";

absl::Status Bad(std::string_view field, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer.json: ", AbslView(field), " ", AbslView(what)));
}

absl::StatusOr<Json> ParseObject(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(Json root, ParseStrictJson(json, "tokenizer.json:"));
  if (!root.is_object()) return Bad("the file", "must hold one JSON object");
  return root;
}

// The member `key`, or null when it is absent.
const Json& Member(const Json& object, const char* key) {
  static const Json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string_view StringOr(const Json& value, std::string_view otherwise) {
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : otherwise;
}

bool IsTrue(const Json& value) { return value.is_boolean() && value.get<bool>(); }

// An integer id in range.
std::optional<TokenId> IdOf(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() >= uint64_t{kMaxVocabSize}) {
    return std::nullopt;
  }
  const int64_t id = value.get<int64_t>();
  if (id < 0 || id >= kMaxVocabSize) return std::nullopt;
  return static_cast<TokenId>(id);
}

std::string IdRange(const Json& value) {
  return absl::StrCat("is ", ShownJson(value), "; an id is a whole number from 0 to ",
                      kMaxVocabSize - 1);
}

absl::Status CheckByteLevel(const Json& value, std::string_view field) {
  if (!value.is_object() || StringOr(Member(value, "type"), "") != "ByteLevel") {
    return Bad(field, absl::StrCat("is ", ShownJson(value), "; only ByteLevel is supported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Pattern> ReadSplit(const Json& split, std::string_view field) {
  const Json& pattern = Member(split, "pattern");
  const std::string_view regex =
      pattern.is_object() ? StringOr(Member(pattern, "Regex"), "") : std::string_view();
  if (StringOr(Member(split, "behavior"), "") != "Isolated" || IsTrue(Member(split, "invert"))) {
    return Bad(field, "must have behavior \"Isolated\" and invert false");
  }
  const std::optional<Pattern> known = PatternFromRegex(regex);
  if (!known) {
    return Bad(field,
               absl::StrCat("has the pattern ", ShownJson(pattern),
                            "; known are those of GPT-2, cl100k (Llama-3), Qwen2 and o200k"));
  }
  return *known;
}

absl::StatusOr<Pattern> ReadPreTokenizer(const Json& value) {
  const std::string_view type =
      value.is_object() ? StringOr(Member(value, "type"), "") : std::string_view();
  if (type == "ByteLevel") {
    if (IsTrue(Member(value, "add_prefix_space"))) {
      return Bad("pre_tokenizer.add_prefix_space", "is true; that adds text, use false");
    }
    const Json& use_regex = Member(value, "use_regex");
    if (use_regex.is_boolean() && !use_regex.get<bool>()) {
      return Bad("pre_tokenizer.use_regex", "is false without a Split before it; use true");
    }
    return Pattern::kGpt2;
  }
  const Json& parts = value.is_object() ? Member(value, "pretokenizers") : value;
  if (type != "Sequence" || !parts.is_array() || parts.size() != 2 || !parts[0].is_object() ||
      StringOr(Member(parts[0], "type"), "") != "Split") {
    return Bad("pre_tokenizer", absl::StrCat("is ", ShownJson(value),
                                             "; supported are ByteLevel, and a Sequence of Split "
                                             "and ByteLevel"));
  }
  FLOE_RETURN_IF_ERROR(CheckByteLevel(parts[1], "pre_tokenizer.pretokenizers[1]"));
  if (IsTrue(Member(parts[1], "add_prefix_space"))) {
    return Bad("pre_tokenizer.pretokenizers[1].add_prefix_space",
               "is true; that adds text, use false");
  }
  const Json& use_regex = Member(parts[1], "use_regex");
  if (!use_regex.is_boolean() || use_regex.get<bool>()) {
    return Bad("pre_tokenizer.pretokenizers[1].use_regex",
               "must be false: the Split before it has cut the text already");
  }
  return ReadSplit(parts[0], "pre_tokenizer.pretokenizers[0]");
}

// Whether the file asks for NFC.
absl::StatusOr<bool> ReadNormalizer(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_object() && StringOr(Member(value, "type"), "") == "NFC") return true;
  return Bad("normalizer",
             absl::StrCat("is ", ShownJson(value), "; only null and NFC are supported"));
}

absl::Status ReadAddedTokens(const Json& list, Vocabulary& vocabulary) {
  if (list.is_null()) return absl::OkStatus();
  if (!list.is_array()) return Bad("added_tokens", "must be a list");
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& entry = list[i];
    const std::string field = absl::StrCat("added_tokens[", i, "]");
    if (!entry.is_object() || !Member(entry, "content").is_string()) {
      return Bad(field, "must be an object with a content string");
    }
    const std::optional<TokenId> id = IdOf(Member(entry, "id"));
    if (!id) return Bad(field + ".id", IdRange(Member(entry, "id")));
    for (const char* flag : {"special", "lstrip", "rstrip", "single_word", "normalized"}) {
      const Json& value = Member(entry, flag);
      if (value.is_null() || value.is_boolean()) continue;
      return Bad(absl::StrCat(field, ".", flag),
                 absl::StrCat("is ", ShownJson(value), "; it must be true or false"));
    }
    vocabulary.added.push_back({.id = *id,
                                .content = Member(entry, "content").get<std::string>(),
                                .special = IsTrue(Member(entry, "special")),
                                .lstrip = IsTrue(Member(entry, "lstrip")),
                                .rstrip = IsTrue(Member(entry, "rstrip")),
                                .single_word = IsTrue(Member(entry, "single_word")),
                                .normalized = IsTrue(Member(entry, "normalized"))});
  }
  std::sort(vocabulary.added.begin(), vocabulary.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return absl::OkStatus();
}

// Marks the added token that a vocabulary entry repeats; false when the entry is an ordinary token.
absl::StatusOr<bool> RepeatsAdded(std::string_view spelling, TokenId id, Vocabulary& vocabulary) {
  for (AddedToken& token : vocabulary.added) {
    if (token.content != spelling) continue;
    if (token.id != id) {
      return Bad("added_tokens", absl::StrCat("gives \"", AbslView(spelling), "\" the id ",
                                              token.id, ", but model.vocab says ", id));
    }
    token.in_vocab = true;
    return true;
  }
  return false;
}

absl::StatusOr<IdOfSpelling> ReadVocab(const Json& vocab, Vocabulary& vocabulary) {
  if (!vocab.is_object()) return Bad("model.vocab", "must be an object of token: id");
  IdOfSpelling ids;
  ids.reserve(vocab.size());
  absl::flat_hash_map<std::string, bool> added;
  for (const AddedToken& token : vocabulary.added) added[token.content] = true;
  for (const auto& item : vocab.items()) {
    const std::string& spelling = item.key();
    const std::optional<TokenId> id = IdOf(item.value());
    const std::string field = absl::StrCat("model.vocab[", ShownJson(Json(spelling)), "]");
    if (!id) return Bad(field, IdRange(item.value()));
    if (added.contains(spelling)) {
      FLOE_ASSIGN_OR_RETURN(const bool repeats, RepeatsAdded(spelling, *id, vocabulary));
      if (repeats) continue;
    }
    std::optional<std::string> bytes = UnspellBytes(spelling);
    if (!bytes || bytes->empty()) {
      return Bad(field,
                 "is not spelled in the byte-level alphabet; is this a byte-level BPE file?");
    }
    if (static_cast<size_t>(*id) >= vocabulary.tokens.size()) vocabulary.tokens.resize(*id + 1);
    if (!vocabulary.tokens[*id].empty()) {
      return Bad(field, absl::StrCat("repeats the id ", *id, "; every token needs its own"));
    }
    vocabulary.tokens[*id] = *std::move(bytes);
    ids[spelling] = *id;
  }
  return ids;
}

absl::Status ReadMerges(const Json& merges, const IdOfSpelling& ids, Vocabulary& vocabulary) {
  if (!merges.is_array()) return Bad("model.merges", "must be a list");
  vocabulary.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const Json& entry = merges[i];
    const std::string field = absl::StrCat("model.merges[", i, "]");
    std::string left, right;
    if (entry.is_string()) {
      const std::string& text = entry.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space != std::string::npos) {
        left = text.substr(0, space);
        right = text.substr(space + 1);
      }
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
               entry[1].is_string()) {
      left = entry[0].get<std::string>();
      right = entry[1].get<std::string>();
    }
    if (left.empty() || right.empty()) {
      return Bad(field,
                 absl::StrCat("is ", ShownJson(entry), "; a merge is \"a b\" or [\"a\", \"b\"]"));
    }
    const auto a = ids.find(left);
    const auto b = ids.find(right);
    const auto result = ids.find(left + right);
    if (a == ids.end() || b == ids.end() || result == ids.end()) {
      const std::string& unknown = a == ids.end() ? left : b == ids.end() ? right : left + right;
      return Bad(field, absl::StrCat("needs the token ", ShownJson(Json(unknown)),
                                     ", which model.vocab does not have"));
    }
    vocabulary.merges.push_back({a->second, b->second, result->second});
  }
  return absl::OkStatus();
}

absl::Status CheckModel(const Json& model) {
  if (!model.is_object()) return Bad("model", "is missing; this is no tokenizer file");
  const std::string_view type = StringOr(Member(model, "type"), "BPE");  // GPT-2's file has no type
  if (type != "BPE") {
    return Bad("model.type", absl::StrCat("is ", ShownJson(Member(model, "type")),
                                          "; only \"BPE\" (byte-level) is supported"));
  }
  const Json& dropout = Member(model, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0.0)) {
    return Bad("model.dropout",
               absl::StrCat("is ", ShownJson(dropout), "; only null is supported"));
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = Member(model, affix);
    if (!value.is_null() && StringOr(value, "?") != "") {
      return Bad(absl::StrCat("model.", affix),
                 absl::StrCat("is ", ShownJson(value), "; only null is supported"));
    }
  }
  if (IsTrue(Member(model, "byte_fallback"))) {
    return Bad("model.byte_fallback", "is true; that is not byte-level BPE");
  }
  return absl::OkStatus();
}

std::string Quoted(std::string_view text) { return Json(std::string(text)).dump(); }

std::string PreTokenizerJson(Pattern pattern) {
  if (pattern == Pattern::kGpt2) {
    return R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, )"
           R"("use_regex": true})";
  }
  return absl::StrCat(
      R"({"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": )",
      Quoted(PatternRegex(pattern)), R"(}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
  ]})");
}

void AppendAddedTokens(const Vocabulary& vocabulary, std::string& out) {
  const char* separator = "\n";
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  for (const AddedToken& token : vocabulary.added) {
    absl::StrAppend(
        &out, separator, "    {\"id\": ", token.id, ", \"content\": ", Quoted(token.content),
        ", \"single_word\": ", flag(token.single_word), ", \"lstrip\": ", flag(token.lstrip),
        ", \"rstrip\": ", flag(token.rstrip), ", \"normalized\": ", flag(token.normalized),
        ", \"special\": ", flag(token.special), "}");
    separator = ",\n";
  }
}

void AppendVocab(const Vocabulary& vocabulary, std::string& out) {
  std::vector<std::string> spellings;
  spellings.reserve(vocabulary.tokens.size());
  for (const std::string& token : vocabulary.tokens) spellings.push_back(SpellBytes(token));
  for (const AddedToken& token : vocabulary.added) {
    if (!token.in_vocab) continue;
    if (spellings.size() <= static_cast<size_t>(token.id)) spellings.resize(token.id + 1);
    spellings[token.id] = token.content;
  }
  const char* separator = "\n";
  for (size_t id = 0; id < spellings.size(); ++id) {
    if (spellings[id].empty()) continue;
    absl::StrAppend(&out, separator, "      ", Quoted(spellings[id]), ": ", id);
    separator = ",\n";
  }
}

}  // namespace

absl::StatusOr<Vocabulary> ParseTokenizerJson(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(const Json root, ParseObject(json));
  const Json& model = Member(root, "model");
  FLOE_RETURN_IF_ERROR(CheckModel(model));
  Vocabulary vocabulary;
  FLOE_ASSIGN_OR_RETURN(vocabulary.normalize_nfc, ReadNormalizer(Member(root, "normalizer")));
  FLOE_RETURN_IF_ERROR(CheckByteLevel(Member(root, "decoder"), "decoder"));
  FLOE_ASSIGN_OR_RETURN(vocabulary.pattern, ReadPreTokenizer(Member(root, "pre_tokenizer")));
  FLOE_RETURN_IF_ERROR(ReadAddedTokens(Member(root, "added_tokens"), vocabulary));
  FLOE_ASSIGN_OR_RETURN(const IdOfSpelling ids, ReadVocab(Member(model, "vocab"), vocabulary));
  FLOE_RETURN_IF_ERROR(ReadMerges(Member(model, "merges"), ids, vocabulary));
  vocabulary.ignore_merges = IsTrue(Member(model, "ignore_merges"));
  vocabulary.post_processor = Member(root, "post_processor").dump();
  return vocabulary;
}

std::string WriteTokenizerJson(const Vocabulary& vocabulary) {
  std::string out = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n";
  out += "  \"added_tokens\": [";
  AppendAddedTokens(vocabulary, out);
  absl::StrAppend(&out, "\n  ],\n  \"normalizer\": ", vocabulary.normalize_nfc ? kNfc : "null",
                  ",\n  \"pre_tokenizer\": ", PreTokenizerJson(vocabulary.pattern),
                  ",\n  \"post_processor\": ", vocabulary.post_processor, ",\n");
  out += R"(  "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, )"
         "\"use_regex\": false},\n";
  absl::StrAppend(&out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n",
                  "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n",
                  "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n",
                  "    \"byte_fallback\": false,\n    \"ignore_merges\": ",
                  vocabulary.ignore_merges ? "true" : "false", ",\n    \"vocab\": {");
  AppendVocab(vocabulary, out);
  out += "\n    },\n    \"merges\": [";
  const char* separator = "\n";
  for (const Merge& merge : vocabulary.merges) {
    absl::StrAppend(&out, separator, "      ",
                    Quoted(SpellBytes(vocabulary.tokens[merge.left]) + " " +
                           SpellBytes(vocabulary.tokens[merge.right])));
    separator = ",\n";
  }
  out += "\n    ]\n  }\n}\n";
  return out;
}

}  // namespace floe::tokenizer
