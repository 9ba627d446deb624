// A document's bytes as sections of plain text that chunks do not cross, with the way back from the
// text to the bytes.
//
//   text       one section
//   Markdown   one for each heading (ATX, `## Heading`, outside of code fences), heading line first
//   JSON Lines one for each line: the string `text`, with the string `title` as heading
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "retrieval/document.h"

namespace floe::retrieval {

struct Section {
  std::string heading;  // the title and the headings above, joined by " > "
  std::string text;
  int64_t base = 0;              // offset of `text` in the content, when the two are the same bytes
  std::vector<uint32_t> places;  // else: PlacedString::places, counted from `base`

  // The offset in the content of byte `at` <= text.size() of the text; `at` must begin a character
  // or be the end.
  int64_t PlaceOf(size_t at) const {
    return base + (places.empty() ? static_cast<int64_t>(at) : int64_t{places[at]});
  }
};

// In the document's order. INVALID_ARGUMENT names the line of JSON Lines that is not an object with
// a string `text`, or says that there is no text at all.
absl::StatusOr<std::vector<Section>> SectionsOf(const NewDocument& document);

}  // namespace floe::retrieval
