// Masks beside brute force: every token tried byte by byte.
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/grammar/compiled_grammar.h"
#include "tests/inference/grammar/matching.h"

namespace floe::inference::grammar {
namespace {

using testing::HasSubstr;

constexpr int32_t kEnd = 3;

// All single bytes, and random words over few letters; some ids have no text, one ends a text.
std::vector<std::string> Vocabulary(std::mt19937& random) {
  std::vector<std::string> tokens(8);
  tokens[kEnd] = "abc";  // what an end id spells does not count
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(std::string(1, static_cast<char>(byte)));
  const std::string letters = "ab01{}[]\":, \\-\xC3\xA9";
  for (int i = 0; i < 600; ++i) {
    std::string word;
    for (size_t n = 2 + random() % 5; n > 0; --n)
      word.push_back(letters[random() % letters.size()]);
    tokens.push_back(word);
  }
  tokens.push_back(tokens.back());  // two ids of one text
  return tokens;
}

bool Bit(std::span<const uint64_t> mask, size_t id) {
  return (mask[id / 64] >> (id % 64) & 1) != 0;
}

// Walks at random through texts of the grammar and compares at every step.
void ExpectMasksEqualBruteForce(const std::string& pattern, int steps) {
  std::mt19937 random(11);
  const std::vector<std::string> tokens = Vocabulary(random);
  const auto size = static_cast<int64_t>(tokens.size()) + 100;  // padded, as embeddings are
  const auto trie = std::make_shared<const TokenTrie>(tokens, std::vector<int32_t>{kEnd}, size);
  const Grammar grammar = Compiled(Form::Kind::kRegex, pattern);
  const auto compiled = CompiledGrammar::Create(grammar, trie);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  Automaton judge(grammar);
  auto constraint = (*compiled)->NewConstraint();
  Automaton::State state = judge.Start();
  for (int step = 0; step < steps; ++step) {
    const auto mask = constraint->Allowed();
    ASSERT_TRUE(mask.ok()) << mask.status();
    std::vector<int32_t> allowed;
    for (size_t id = 0; id < static_cast<size_t>(size); ++id) {
      judge.BeginWork();
      bool expected = id == kEnd && judge.accepting(state);
      if (id != kEnd && id < tokens.size() && !tokens[id].empty()) {
        Automaton::State at = state;
        for (const char c : tokens[id]) at = judge.Next(at, static_cast<uint8_t>(c));
        expected = at != Automaton::kDead;
      }
      ASSERT_EQ(Bit(*mask, id), expected) << pattern << " id " << id << " step " << step;
      if (expected) allowed.push_back(static_cast<int32_t>(id));
    }
    ASSERT_EQ(constraint->complete(), judge.complete(state));
    ASSERT_FALSE(allowed.empty());
    const int32_t id = allowed[random() % allowed.size()];
    ASSERT_TRUE(constraint->Accept(id).ok());
    if (id == kEnd || constraint->complete()) {
      constraint = (*compiled)->NewConstraint();
      state = judge.Start();
      continue;
    }
    for (const char c : tokens[static_cast<size_t>(id)])
      state = judge.Next(state, static_cast<uint8_t>(c));
  }
}

TEST(Masks, EqualBruteForce) {
  for (const char* pattern :
       {"[ab]*", "(a|b)*01|\\{\"a\": (true|[01]+)\\}", "\"([^\"\\\\]|\\\\.)*\"",
        "-?[01]{1,3}(, [01]+)*", "\u00e9+[^\u00e9]?", ".*"}) {
    ExpectMasksEqualBruteForce(pattern, 200);
  }
}

TEST(Masks, AcceptRefusesWhatTheMaskDoesNotAllow) {
  std::mt19937 random(11);
  const auto trie = std::make_shared<const TokenTrie>(Vocabulary(random),
                                                      std::vector<int32_t>{kEnd}, int64_t{1000});
  const auto compiled = CompiledGrammar::Create(Compiled(Form::Kind::kRegex, "a"), trie);
  auto constraint = (*compiled)->NewConstraint();
  for (const int32_t id : {kEnd, 0, 999, -1, 8 + 'b'}) {
    EXPECT_TRUE(absl::IsInvalidArgument(constraint->Accept(id))) << id;
  }
  EXPECT_TRUE(constraint->Accept(8 + 'a').ok());
  EXPECT_TRUE(constraint->complete());
}

// Two requests of one grammar do not disturb each other, also when states are forgotten meanwhile.
TEST(Masks, StateOfARequestSurvivesForgetting) {
  std::mt19937 random(11);
  const auto trie = std::make_shared<const TokenTrie>(Vocabulary(random),
                                                      std::vector<int32_t>{kEnd}, int64_t{1000});
  const auto compiled =
      CompiledGrammar::Create(Compiled(Form::Kind::kRegex, "[ab]{0,12000}"), trie);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  auto waiting = (*compiled)->NewConstraint();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(waiting->Accept(8 + 'a').ok());
  const auto before = waiting->Allowed();
  const std::vector<uint64_t> mask(before->begin(), before->end());
  auto busy = (*compiled)->NewConstraint();
  for (int i = 0; i < 11'000; ++i) {
    ASSERT_TRUE(busy->Accept(8 + 'b').ok());
    if (i % 1000 == 0) {
      ASSERT_TRUE(busy->Allowed().ok());
    }
  }
  const auto after = waiting->Allowed();
  EXPECT_EQ(std::vector<uint64_t>(after->begin(), after->end()), mask);
  EXPECT_TRUE(waiting->Accept(8 + 'b').ok());
  EXPECT_TRUE(waiting->Accept(kEnd).ok());
}

std::vector<uint64_t> MaskOf(TokenConstraint& constraint) {
  const auto mask = constraint.Allowed();
  EXPECT_TRUE(mask.ok()) << mask.status();
  return {mask->begin(), mask->end()};
}

// How often it had to be asked, with as little work as there is, before it was ready.
int PrepareBySlices(TokenConstraint& constraint) {
  int asked = 0;
  while (!constraint.Prepare(1)) ++asked;
  return asked;
}

TEST(Masks, AreTheSameInSlices) {
  std::mt19937 random(11);
  const auto trie = std::make_shared<const TokenTrie>(Vocabulary(random),
                                                      std::vector<int32_t>{kEnd}, int64_t{1000});
  const Grammar grammar =
      Compiled(Form::Kind::kRegex, "[ab]{4}(\\{\"a\": (true|[01]+)\\}|[01, ]*)");
  const auto at_once = (*CompiledGrammar::Create(grammar, trie))->NewConstraint();
  const auto by_slices = (*CompiledGrammar::Create(grammar, trie))->NewConstraint();
  EXPECT_EQ(PrepareBySlices(*by_slices), 0) << "the first is made with the grammar";
  for (const char letter : {'a', 'b', 'b', 'a', '0'}) {
    ASSERT_TRUE(at_once->Accept(8 + letter).ok());
    ASSERT_TRUE(by_slices->Accept(8 + letter).ok());
    EXPECT_GT(PrepareBySlices(*by_slices), 3);
    EXPECT_EQ(PrepareBySlices(*by_slices), 0);
    EXPECT_EQ(MaskOf(*by_slices), MaskOf(*at_once));
  }
  // An id that comes in the middle of the work.
  const auto hasty = (*CompiledGrammar::Create(grammar, trie))->NewConstraint();
  const auto calm = (*CompiledGrammar::Create(grammar, trie))->NewConstraint();
  for (const char letter : {'a', 'b'}) {
    ASSERT_TRUE(hasty->Accept(8 + letter).ok());
    ASSERT_TRUE(calm->Accept(8 + letter).ok());
    EXPECT_FALSE(hasty->Prepare(1));
  }
  EXPECT_EQ(MaskOf(*hasty), MaskOf(*calm));
}

TEST(Masks, AWalkSurvivesForgettingAndOneThatIsGivenUpLeavesNothingBehind) {
  std::mt19937 random(11);
  const auto trie = std::make_shared<const TokenTrie>(Vocabulary(random),
                                                      std::vector<int32_t>{kEnd}, int64_t{1000});
  const Grammar grammar = Compiled(Form::Kind::kRegex, "1[01]*|[ab]{0,12000}");
  const auto compiled = CompiledGrammar::Create(grammar, trie).value();
  const auto busy = compiled->NewConstraint();
  for (int i = 0; i < 2'000; ++i) ASSERT_TRUE(busy->Accept(8 + 'b').ok());
  const auto resting = compiled->NewConstraint();
  auto given_up = compiled->NewConstraint();
  ASSERT_TRUE(resting->Accept(8 + '1').ok());
  ASSERT_TRUE(given_up->Accept(8 + '1').ok());
  ASSERT_FALSE(resting->Prepare(1));
  ASSERT_FALSE(given_up->Prepare(1));
  given_up.reset();
  for (int i = 2'000; i < 11'000; ++i) ASSERT_TRUE(busy->Accept(8 + 'b').ok());
  const auto expected = CompiledGrammar::Create(grammar, trie).value()->NewConstraint();
  ASSERT_TRUE(expected->Accept(8 + '1').ok());
  EXPECT_EQ(MaskOf(*resting), MaskOf(*expected));
  EXPECT_NE(MaskOf(*resting), MaskOf(*busy));
}

TEST(Masks, ABombIsRefusedWithItsFirstMask) {
  std::mt19937 random(11);
  const auto trie = std::make_shared<const TokenTrie>(Vocabulary(random),
                                                      std::vector<int32_t>{kEnd}, int64_t{1000});
  const auto compiled =
      CompiledGrammar::Create(Compiled(Form::Kind::kRegex, "(((a?){500}){500}){500}"), trie);
  EXPECT_TRUE(absl::IsInvalidArgument(compiled.status()));
  EXPECT_THAT(std::string(compiled.status().message()), HasSubstr("too many ways"));
}

// Rules that call one another twice and end in nothing: no way to go on but one, behind two to the
// power of `depth` nodes.
std::string Doubling(int depth) {
  std::string ebnf = "root ::= (a0 [xy]){1000}\n";
  for (int i = 0; i < depth; ++i) {
    absl::StrAppend(&ebnf, "a", i, " ::= a", i + 1, " a", i + 1, "\n");
  }
  return absl::StrCat(ebnf, "a", depth, " ::= \"\"\n");
}

// A walk over the vocabulary stops between bytes, so the work for one byte has a limit of its own.
TEST(Masks, OneByteThatTakesTooMuchWorkIsRefused) {
  const auto trie = std::make_shared<const TokenTrie>(std::vector<std::string>{"", "x", "y"},
                                                      std::vector<int32_t>{kEnd}, int64_t{3});
  EXPECT_TRUE(CompiledGrammar::Create(Compiled(Form::Kind::kEbnf, Doubling(9)), trie).ok());
  const auto compiled = CompiledGrammar::Create(Compiled(Form::Kind::kEbnf, Doubling(14)), trie);
  EXPECT_TRUE(absl::IsInvalidArgument(compiled.status()));
  EXPECT_THAT(std::string(compiled.status().message()), HasSubstr("too many ways"));
}

}  // namespace
}  // namespace floe::inference::grammar
