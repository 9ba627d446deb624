// What a trained byte-level BPE tokenizer consists of, as a plain value: the alphabet and its
// merges, the added tokens, and the pre-tokenisation pattern. Trainer makes one, tokenizer.json
// files store one, Tokenizer runs one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "tokenizer/pretokenizer.h"

namespace floe::tokenizer {

using TokenId = int32_t;

// Ids stay below this: a hostile file cannot ask for gigabytes.
inline constexpr TokenId kMaxVocabSize = 1 << 22;

// `left` followed by `right` becomes `result`. Earlier merges win.
struct Merge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
};

// A token that no merge produces: matched as a whole in trusted text only.
struct AddedToken {
  TokenId id = 0;
  std::string content;       // UTF-8, not empty
  bool special = true;       // left out by Decode on request
  bool in_vocab = false;     // also listed in the model's own vocabulary (GPT-2's files do so)
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool single_word = false;  // not beside a character of a word (\w)
  bool normalized = false;   // matched in the text's normal form, by its own; see added_tokens.h
};

struct Vocabulary {
  Pattern pattern = Pattern::kQwen2;
  // Raw bytes by id; an empty string is an id that the model's vocabulary does not hold (a hole, or
  // an added token).
  std::vector<std::string> tokens;
  std::vector<Merge> merges;
  std::vector<AddedToken> added;  // by ascending id
  // A piece that is itself a token is that token, whatever the merges say (Llama-3's files).
  bool ignore_merges = false;
  // Merges of one result are equals, of which the leftmost wins: tiktoken's rule. (Hugging Face
  // goes by the place of each in the list.) No file says it: only tiktoken_ranks.h sets it.
  bool equal_merges = false;
  // Text is brought into NFC before it is cut (Qwen's files). Decode then gives the NFC form back,
  // not the bytes themselves; tokenizers that are trained here do not do this.
  bool normalize_nfc = false;
  // The file's post_processor, kept word for word (JSON); Encode adds no tokens around a text.
  std::string post_processor = "null";
};

// OK when every byte has a token (else text would be lost), ids are in range and used once, each
// merge joins the bytes it names, and added tokens are distinct, valid UTF-8 and not empty.
// INVALID_ARGUMENT says which.
absl::Status ValidateVocabulary(const Vocabulary& vocabulary);

}  // namespace floe::tokenizer
