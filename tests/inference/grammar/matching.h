// Texts against grammars, byte by byte and apart from all caches of masks.
#pragma once

#include <random>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

#include "inference/grammar/automaton.h"
#include "inference/grammar/grammar.h"
#include "inference/grammar/grammar_cache.h"

namespace floe::inference::grammar {

inline Grammar Compiled(Form::Kind kind, const std::string& text) {
  auto grammar = CompileForm({kind, text});
  if (!grammar.ok()) ADD_FAILURE() << text << ": " << grammar.status();
  return *std::move(grammar);
}

inline bool Matches(const Grammar& grammar, std::string_view text) {
  Automaton automaton(grammar);
  Automaton::State state = automaton.Start();
  for (const char c : text) {
    if (state < 0) break;
    state = automaton.Next(state, static_cast<uint8_t>(c));
  }
  EXPECT_NE(state, Automaton::kTooComplex);
  return state > 0 && automaton.accepting(state);
}

// A text of the grammar, its bytes chosen evenly among those that may come; it ends where it may
// with one chance in four, and is "" when it would be longer than `most` bytes.
inline std::string RandomMatch(const Grammar& grammar, std::mt19937& random, size_t most) {
  Automaton automaton(grammar);
  Automaton::State state = automaton.Start();
  std::string text;
  while (text.size() <= most) {
    std::vector<uint8_t> next;
    for (int byte = 0; byte < 256; ++byte) {
      if (automaton.Next(state, static_cast<uint8_t>(byte)) > 0) {
        next.push_back(static_cast<uint8_t>(byte));
      }
    }
    if (automaton.accepting(state) && (next.empty() || random() % 4 == 0)) return text;
    // Every state can still reach the end of a text.
    EXPECT_FALSE(next.empty()) << "stuck behind " << text;
    if (next.empty()) return text;
    text.push_back(static_cast<char>(next[random() % next.size()]));
    state = automaton.Next(state, next.empty() ? 0 : static_cast<uint8_t>(text.back()));
  }
  return "";
}

}  // namespace floe::inference::grammar
