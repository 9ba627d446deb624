#include "retrieval/chunker.h"

#include <algorithm>
#include <string_view>

#include "base/status_macros.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::retrieval {
namespace {

// Merges do not cross these pieces, so the tokens of a text are the sum of theirs.
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  int tokens = 0;
};

constexpr std::string_view kBlank = " \t\r\n\f\v";

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

// How good it is to end a chunk behind `text`, of which `next` goes on.
enum class Boundary { kNone, kLine, kSentence, kParagraph };

Boundary BoundaryBetween(std::string_view text, std::string_view next) {
  const size_t last = text.find_last_not_of(kBlank);
  const size_t following = next.find_first_not_of(kBlank);
  if (last == text.npos || following == next.npos) return Boundary::kParagraph;
  const std::string_view behind = text.substr(last + 1);
  const std::string_view before = next.substr(0, following);
  const auto newlines = std::count(behind.begin(), behind.end(), '\n') +
                        std::count(before.begin(), before.end(), '\n');
  if (newlines >= 2) return Boundary::kParagraph;
  const char end = text[last];
  const bool spaced = !behind.empty() || !before.empty();
  if (spaced && (end == '.' || end == '!' || end == '?')) return Boundary::kSentence;
  return newlines == 1 ? Boundary::kLine : Boundary::kNone;
}

// Cuts one section.
class SectionCutter {
 public:
  SectionCutter(const Section& section, const tokenizer::Tokenizer& tokenizer,
                const ChunkLimits& limits)
      : section_(section), tokenizer_(tokenizer), limits_(limits) {
    for (const std::string_view piece :
         tokenizer::SplitPieces(tokenizer.vocabulary().pattern, section.text)) {
      AddPiece(static_cast<size_t>(piece.data() - section.text.data()), piece);
    }
  }

  void Cut(std::vector<Chunk>& chunks) {
    for (size_t first = 0; first < pieces_.size();) {
      const size_t end = Fitting(first, EndOf(first));
      Append(first, end, chunks);
      if (end == pieces_.size()) return;
      first = std::max(first + 1, OverlapBefore(end));
    }
  }

 private:
  // A piece that is longer than a chunk (a run of letters without spaces) is cut between
  // characters.
  void AddPiece(size_t begin, std::string_view piece) {
    const int tokens = static_cast<int>(tokenizer_.Count(piece));
    size_t half = piece.size() / 2;
    while (half > 0 && (piece[half] & 0xC0) == 0x80) --half;
    if (half == 0) half = tokenizer::ReadUtf8(piece, 0).length;
    if ((tokens <= limits_.chunk_tokens && Fits(piece)) || half >= piece.size()) {
      pieces_.push_back({begin, begin + piece.size(), tokens});
      return;
    }
    AddPiece(begin, piece.substr(0, half));
    AddPiece(begin + half, piece.substr(half));
  }

  std::string_view Text(size_t begin, size_t end) const {
    return std::string_view(section_.text).substr(begin, end - begin);
  }

  // One past the last piece of the chunk that begins with `first`: as many as fit, cut back to the
  // best boundary in the last quarter.
  size_t EndOf(size_t first) const {
    size_t end = first;
    int tokens = 0;
    while (end < pieces_.size() && tokens + pieces_[end].tokens <= limits_.chunk_tokens) {
      tokens += pieces_[end++].tokens;
    }
    if (end == pieces_.size()) return end;
    end = std::max(end, first + 1);
    size_t best = end;
    Boundary best_boundary = Boundary::kNone;
    int left = tokens;
    for (size_t at = end; at > first + 1 && left > limits_.chunk_tokens * 3 / 4; --at) {
      const Boundary boundary = BoundaryBetween(Text(pieces_[first].begin, pieces_[at - 1].end),
                                                Text(pieces_[at].begin, section_.text.size()));
      if (boundary > best_boundary) {
        best = at;
        best_boundary = boundary;
      }
      left -= pieces_[at - 1].tokens;
    }
    return best;
  }

  // Whether a chunk may be of this text. Without the white space around it a text may have more
  // tokens than its pieces: "the" where " the" is one. Normalising tokenizers count otherwise too.
  bool Fits(std::string_view text) const {
    return static_cast<int>(tokenizer_.Count(Trimmed(text))) <= limits_.chunk_tokens;
  }

  // The same or fewer pieces, whose text by itself is within the limit.
  size_t Fitting(size_t first, size_t end) const {
    while (end > first + 1 && !Fits(Text(pieces_[first].begin, pieces_[end - 1].end))) --end;
    return end;
  }

  // The first of the pieces before `end` that together are within the overlap.
  size_t OverlapBefore(size_t end) const {
    size_t first = end;
    for (int tokens = 0; first > 0; --first) {
      tokens += pieces_[first - 1].tokens;
      if (tokens > limits_.overlap_tokens) break;
    }
    return first;
  }

  void Append(size_t first, size_t end, std::vector<Chunk>& chunks) const {
    const std::string_view text = Trimmed(Text(pieces_[first].begin, pieces_[end - 1].end));
    if (text.empty()) return;
    const auto begin = static_cast<size_t>(text.data() - section_.text.data());
    Chunk chunk;
    chunk.index = static_cast<int>(chunks.size());
    chunk.begin = section_.PlaceOf(begin);
    chunk.end = section_.PlaceOf(begin + text.size());
    chunk.heading = section_.heading;
    chunk.text = text;
    chunk.tokens = static_cast<int>(tokenizer_.Count(chunk.text));
    // What lies wholly in the chunk before (white space only is new) would be found twice.
    if (!chunks.empty() && chunks.back().begin <= chunk.begin && chunk.end <= chunks.back().end) {
      return;
    }
    chunks.push_back(std::move(chunk));
  }

  const Section& section_;
  const tokenizer::Tokenizer& tokenizer_;
  const ChunkLimits& limits_;
  std::vector<Piece> pieces_;
};

}  // namespace

absl::StatusOr<std::vector<Chunk>> ChunksOf(const NewDocument& document,
                                            const tokenizer::Tokenizer& tokenizer,
                                            const ChunkLimits& limits) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<Section> sections, SectionsOf(document));
  std::vector<Chunk> chunks;
  for (const Section& section : sections) SectionCutter(section, tokenizer, limits).Cut(chunks);
  return chunks;
}

}  // namespace floe::retrieval
