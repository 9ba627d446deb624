// Cuts a text that arrives piecemeal, or that is too long for one thread, where that changes no
// ids: encoding the cuts one by one gives the ids of the whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace floe::tokenizer {

// The last place in (0, text.size()) where a piece ends whatever stands before and behind, by every
// pattern, with NFC or without: behind a letter or number, before a character that is no letter,
// number, mark or apostrophe. 0 when there is none. Added tokens are not thought of: they may lie
// across. Pure, thread-safe.
size_t LastCertainCut(std::string_view text);

// Not thread-safe. Holds what has arrived since the last certain cut: in text of words and numbers
// little more than a word, in text of one piece (a megabyte of dots) all of it, since its ids
// depend on its end.
class TextCutter {
 public:
  // What can be encoded now, maybe nothing.
  std::string Push(std::string_view bytes);
  // The rest.
  std::string Flush();

 private:
  std::string waiting_;
};

// `text` in parts of about `bytes` each, cut at certain places; one part where there is none.
std::vector<std::string_view> CutIntoParts(std::string_view text, size_t bytes);

}  // namespace floe::tokenizer
