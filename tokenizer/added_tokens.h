// Where a text names added tokens: the rules of Hugging Face's AddedVocabulary
// (tokenizers/src/tokenizer/added_vocabulary.rs).
//
// Tokens that are not `normalized` are looked for in the text as it is; what is left between them
// is brought into the normal form, piece by piece, and there the `normalized` ones are looked for,
// by their contents' normal forms. Of those that begin at one place the longest is meant, and the
// search goes on behind it, also when `single_word` then refuses it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

// Immutable and thread-safe; borrows the tokens.
class AddedTokenFinder {
 public:
  // Whether the bytes [begin, begin + length) of the text may name a token.
  using Trusted = absl::FunctionRef<bool(size_t begin, size_t length)>;
  // The next part of the text.
  struct Part {
    std::string_view text;    // ordinary text in the normal form, or what names `token`, with the
                              // white space that it takes along; lives as long as the visit
    const AddedToken* token;  // null: ordinary text
    size_t end;               // in the whole text with its ordinary parts in the normal form
  };
  using Visit = absl::FunctionRef<void(const Part& part)>;

  // `nfc`: the normal form is NFC; otherwise it is the text itself.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, bool nfc);

  // Where NFC has joined or moved characters, `trusted` is asked about all those that a match may
  // come from. A place it says no to holds no token; a shorter one may begin there. Parts follow
  // each other without gaps; they overlap where one took along white space in which the next is
  // named.
  void ForEachPart(std::string_view text, Trusted trusted, Visit visit) const;

 private:
  struct Wanted {
    std::string text;  // what to look for
    const AddedToken* token;
  };
  using ByFirstByte = std::vector<Wanted>[256];  // longest first

  static const Wanted* Longest(const ByFirstByte& wanted, std::string_view text, size_t begin,
                               Trusted trusted);
  // Visits tokens and what is between them, with the place of each part.
  static void Split(const ByFirstByte& wanted, std::string_view text, Trusted trusted,
                    absl::FunctionRef<void(size_t begin, size_t end, const AddedToken*)> visit);
  // `text` begins at `begin` of the whole, and at `normal_begin` of its normal form. Returns how
  // long its normal form is.
  size_t VisitOrdinary(std::string_view text, size_t begin, size_t normal_begin, Trusted trusted,
                       Visit visit) const;

  const bool nfc_;
  bool any_normalized_ = false;
  ByFirstByte as_it_is_;
  ByFirstByte normalized_;
};

}  // namespace floe::tokenizer
