#include "tokenizer/unicode/nfc.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <vector>

#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {
#include "tokenizer/normalization_tables.inc"

// Hangul syllables are arithmetic (the Standard, 3.12).
constexpr uint32_t kS = 0xAC00, kL = 0x1100, kV = 0x1161, kT = 0x11A7;
constexpr uint32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

constexpr uint32_t kNone = 0;

struct Mark {
  uint32_t code;
  uint32_t combining_class;
};

uint32_t CombiningClass(uint32_t code) {
  const auto* found =
      std::lower_bound(std::begin(kCombiningClass), std::end(kCombiningClass), code << 8);
  return found != std::end(kCombiningClass) && *found >> 8 == code ? *found & 0xFF : 0;
}

void Append(uint32_t code, std::vector<Mark>& out) { out.push_back({code, CombiningClass(code)}); }

void Decompose(uint32_t code, std::vector<Mark>& out) {
  if (code - kS < kSCount) {
    const uint32_t index = code - kS;
    Append(kL + index / (kVCount * kTCount), out);
    Append(kV + index % (kVCount * kTCount) / kTCount, out);
    if (index % kTCount != 0) Append(kT + index % kTCount, out);
    return;
  }
  const auto* found = std::lower_bound(std::begin(kDecomposed), std::end(kDecomposed), code);
  if (found == std::end(kDecomposed) || *found != code) return Append(code, out);
  const size_t i = found - std::begin(kDecomposed);
  for (size_t p = i == 0 ? 0 : kPartsEnd[i - 1]; p < kPartsEnd[i]; ++p) Append(kParts[p], out);
}

// The character that the two compose to, or kNone.
uint32_t Compose(uint32_t first, uint32_t second) {
  if (first - kL < kLCount && second - kV < kVCount) {
    return kS + ((first - kL) * kVCount + (second - kV)) * kTCount;
  }
  if (first - kS < kSCount && (first - kS) % kTCount == 0 && second - kT - 1 < kTCount - 1) {
    return first + (second - kT);
  }
  size_t low = 0, high = std::size(kComposition) / 3;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const uint32_t* entry = kComposition + 3 * middle;
    if (entry[0] == first && entry[1] == second) return entry[2];
    if (entry[0] < first || (entry[0] == first && entry[1] < second)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return kNone;
}

// Marks between two characters of class 0 stand in the order of their classes.
void Reorder(std::vector<Mark>& marks) {
  for (auto begin = marks.begin(); begin != marks.end();) {
    if (begin->combining_class == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, marks.end(),
                                  [](const Mark& mark) { return mark.combining_class == 0; });
    std::stable_sort(begin, end, [](const Mark& a, const Mark& b) {
      return a.combining_class < b.combining_class;
    });
    begin = end;
  }
}

void ComposeInto(const std::vector<Mark>& marks, std::string& out) {
  std::vector<uint32_t> composed;
  size_t starter = SIZE_MAX;    // where in `composed` the last character of class 0 stands
  uint32_t previous_class = 0;  // of what was kept after it
  for (const Mark& mark : marks) {
    const bool adjacent = starter != SIZE_MAX && composed.size() == starter + 1;
    if (starter != SIZE_MAX && (adjacent || previous_class < mark.combining_class)) {
      if (const uint32_t joined = Compose(composed[starter], mark.code); joined != kNone) {
        composed[starter] = joined;
        continue;
      }
    }
    if (mark.combining_class == 0) starter = composed.size();
    previous_class = mark.combining_class;
    composed.push_back(mark.code);
  }
  for (const uint32_t code : composed) AppendUtf8(code, out);
}

// Whether some character composes with one like this behind it.
bool ComposesBackwards(uint32_t code) {
  static const auto& seconds = *new std::set<uint32_t>([] {
    std::set<uint32_t> all;
    for (size_t i = 1; i < std::size(kComposition); i += 3) all.insert(kComposition[i]);
    return all;
  }());
  return code - kV < kVCount || code - kT - 1 < kTCount - 1 || seconds.contains(code);
}

// Whether what stands before it is finished.
bool BeginsAnew(uint32_t code) {
  std::vector<Mark> parts;
  Decompose(code, parts);
  return parts[0].combining_class == 0 && !ComposesBackwards(parts[0].code);
}

// `cuts` may be null.
std::string Normalize(std::string_view text, std::vector<NfcCut>* cuts) {
  std::string out;
  out.reserve(text.size());
  std::vector<Mark> marks;
  const auto flush = [&](size_t at) {
    Reorder(marks);
    ComposeInto(marks, out);
    marks.clear();
    if (cuts != nullptr) cuts->push_back({at, out.size()});
  };
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = ReadUtf8(text, i);
    if (c.code_point == kNotUtf8) {
      flush(i);
      out.push_back(text[i]);
    } else {
      // Below U+0300 nothing combines backwards: what came before is finished.
      if (c.code_point < 0x300 || (cuts != nullptr && BeginsAnew(c.code_point))) flush(i);
      Decompose(c.code_point, marks);
    }
    i += c.length;
  }
  flush(text.size());
  return out;
}

}  // namespace

bool IsPlainlyNfc(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

std::string ToNfc(std::string_view text) {
  return IsPlainlyNfc(text) ? std::string(text) : Normalize(text, nullptr);
}

std::string ToNfc(std::string_view text, std::vector<NfcCut>& cuts) {
  cuts.clear();
  return Normalize(text, &cuts);
}

}  // namespace floe::tokenizer
