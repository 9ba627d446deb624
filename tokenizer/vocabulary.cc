#include "tokenizer/vocabulary.h"

#include <array>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

absl::Status ValidateTokens(const Vocabulary& vocabulary) {
  if (vocabulary.tokens.size() > static_cast<size_t>(kMaxVocabSize)) {
    return absl::InvalidArgumentError(absl::StrCat("the vocabulary reaches id ",
                                                   vocabulary.tokens.size() - 1, "; the limit is ",
                                                   kMaxVocabSize - 1));
  }
  std::array<bool, 256> has_byte{};
  absl::flat_hash_set<std::string> seen;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty()) continue;
    if (token.size() == 1) has_byte[static_cast<uint8_t>(token[0])] = true;
    if (!seen.insert(token).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("token \"", absl::CHexEscape(token), "\" has two ids; one of them is ", id));
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (has_byte[byte]) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the vocabulary has no token for byte 0x", absl::Hex(byte, absl::kZeroPad2),
                     ", so text would be lost; train it with the whole byte alphabet "
                     "(initial_alphabet in Hugging Face's trainer)"));
  }
  return absl::OkStatus();
}

absl::Status ValidateMerges(const Vocabulary& vocabulary) {
  const auto bytes_of = [&](TokenId id) -> const std::string* {
    if (id < 0 || static_cast<size_t>(id) >= vocabulary.tokens.size()) return nullptr;
    const std::string& token = vocabulary.tokens[id];
    return token.empty() ? nullptr : &token;
  };
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const Merge& merge = vocabulary.merges[i];
    const std::string* left = bytes_of(merge.left);
    const std::string* right = bytes_of(merge.right);
    const std::string* result = bytes_of(merge.result);
    if (left == nullptr || right == nullptr || result == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("merge ", i, " names an id that is not in the vocabulary"));
    }
    if (*left + *right != *result) {
      return absl::InvalidArgumentError(
          absl::StrCat("merge ", i, " joins \"", absl::CHexEscape(*left), "\" and \"",
                       absl::CHexEscape(*right), "\" to something else"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateAdded(const Vocabulary& vocabulary) {
  absl::flat_hash_set<std::string> contents;
  absl::flat_hash_set<TokenId> ids;
  for (const AddedToken& token : vocabulary.added) {
    const std::string shown = absl::CHexEscape(token.content);
    if (token.content.empty() || ReplaceInvalidUtf8(token.content) != token.content) {
      return absl::InvalidArgumentError(
          absl::StrCat("added token \"", shown, "\" must be UTF-8 text that is not empty"));
    }
    if (token.id < 0 || token.id >= kMaxVocabSize) {
      return absl::InvalidArgumentError(absl::StrCat(
          "added token \"", shown, "\" has id ", token.id, "; ids are 0 to ", kMaxVocabSize - 1));
    }
    if (!contents.insert(token.content).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("added token \"", shown, "\" is listed twice"));
    }
    if (!ids.insert(token.id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("added token \"", shown, "\" repeats the id ", token.id));
    }
    const bool in_tokens = static_cast<size_t>(token.id) < vocabulary.tokens.size() &&
                           !vocabulary.tokens[token.id].empty();
    if (in_tokens) {
      return absl::InvalidArgumentError(absl::StrCat("added token \"", shown, "\" has the id ",
                                                     token.id,
                                                     ", which an ordinary token holds already"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateVocabulary(const Vocabulary& vocabulary) {
  FLOE_RETURN_IF_ERROR(ValidateTokens(vocabulary));
  FLOE_RETURN_IF_ERROR(ValidateMerges(vocabulary));
  return ValidateAdded(vocabulary);
}

}  // namespace floe::tokenizer
