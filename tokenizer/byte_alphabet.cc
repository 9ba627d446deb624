#include "tokenizer/byte_alphabet.h"

#include <array>

#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint16_t, 256> character_of{};  // by byte
  std::array<int16_t, 512> byte_of{};        // by character; -1: none
  std::array<uint8_t, 256> byte_of_rank{};
  std::array<uint8_t, 256> rank_of_byte{};
};

constexpr Alphabet MakeAlphabet() {
  Alphabet a;
  for (auto& byte : a.byte_of) byte = -1;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const int character = StandsForItself(byte) ? byte : next++;
    a.character_of[byte] = static_cast<uint16_t>(character);
    a.byte_of[character] = static_cast<int16_t>(byte);
  }
  int rank = 0;
  for (int character = 0; character < 512; ++character) {
    if (a.byte_of[character] < 0) continue;
    a.byte_of_rank[rank] = static_cast<uint8_t>(a.byte_of[character]);
    a.rank_of_byte[a.byte_of[character]] = static_cast<uint8_t>(rank);
    ++rank;
  }
  return a;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

uint8_t ByteOfRank(int rank) { return kAlphabet.byte_of_rank[rank]; }
int RankOfByte(uint8_t byte) { return kAlphabet.rank_of_byte[byte]; }

std::string SpellBytes(std::string_view bytes) {
  std::string spelling;
  spelling.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) {
    AppendUtf8(kAlphabet.character_of[static_cast<uint8_t>(byte)], spelling);
  }
  return spelling;
}

std::optional<std::string> UnspellBytes(std::string_view spelling) {
  std::string bytes;
  bytes.reserve(spelling.size());
  for (size_t i = 0; i < spelling.size();) {
    const Utf8Char c = ReadUtf8(spelling, i);
    if (c.code_point >= 512 || kAlphabet.byte_of[c.code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.byte_of[c.code_point]));
    i += c.length;
  }
  return bytes;
}

}  // namespace floe::tokenizer
