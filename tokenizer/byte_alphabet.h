// The byte-level alphabet of GPT-2, as tokenizer.json files spell it: every byte is shown as one
// printable character. Bytes that print in Latin-1 (21..7E, A1..AC, AE..FF) stand for themselves;
// the other 68 take U+0100, U+0101, ... in byte order. Ids 0..255 follow the order of those
// characters. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace floe::tokenizer {

// The byte whose character comes `rank`-th (0..255) in the alphabet, and the way back.
uint8_t ByteOfRank(int rank);
int RankOfByte(uint8_t byte);

// Raw bytes to their spelling in a tokenizer.json, and back; nullopt when a character is not in the
// alphabet.
std::string SpellBytes(std::string_view bytes);
std::optional<std::string> UnspellBytes(std::string_view spelling);

}  // namespace floe::tokenizer
