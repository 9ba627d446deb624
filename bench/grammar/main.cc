// floe-bench-grammar: what a constraint costs a token, in microseconds on one thread: the mask, the
// choice over it and the step of the grammar, for a vocabulary of 49,152 words. "cold" is the first
// answer of a grammar, "warm" answers after a hundred. The limit is the choice without a
// constraint. Prints the rows of bench/README.md.
#include <chrono>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "bench/program/program.h"
#include "inference/grammar/compiled_grammar.h"
#include "inference/grammar/grammar_cache.h"
#include "inference/sampling/sampler.h"

namespace floe::inference::grammar {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr size_t kVocab = 49'152;
constexpr int32_t kEnd = 0;
constexpr int kAnswers = 20;
constexpr int kMaxTokens = 200;

// The bytes, then words of syllables, half of them with a space before, some with what stands
// around JSON's values.
std::vector<std::string> Vocabulary() {
  std::mt19937 random(1);
  std::vector<std::string> tokens(1);
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  const std::string consonants = "bcdfghklmnprstvw", vowels = "aeiou";
  const std::vector<std::string> marks = {"\": \"", "\", \"", "\": ", ", \"",
                                          "{\"",    "\"}",    "  ",   ".\n"};
  while (tokens.size() < kVocab) {
    std::string word = random() % 2 == 0 ? " " : "";
    for (size_t n = 1 + random() % 4; n > 0; --n) {
      word += consonants[random() % consonants.size()];
      word += vowels[random() % vowels.size()];
      if (random() % 3 == 0) word += consonants[random() % consonants.size()];
    }
    tokens.push_back(random() % 20 == 0 ? marks[random() % marks.size()] : word);
  }
  return tokens;
}

double Microseconds(Clock::duration took) {
  return std::chrono::duration<double, std::micro>(took).count();
}

struct Cost {
  double compile = 0;  // milliseconds
  double cold = 0;     // microseconds a token
  double warm = 0;
};

class Bench {
 public:
  Bench()
      : trie_(std::make_shared<const TokenTrie>(Vocabulary(), std::vector<int32_t>{kEnd},
                                                static_cast<int64_t>(kVocab))) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 1.5f);
    for (auto& row : logits_) {
      row.resize(kVocab);
      for (float& logit : row) logit = normal(random);
    }
  }

  double Unconstrained() const {
    const auto start = Clock::now();
    for (int i = 0; i < kMaxTokens; ++i) used_ += sampler_.Draw(Logits(i), kSampling, i);
    return Microseconds(Clock::now() - start) / kMaxTokens;
  }

  Cost Measure(const Form& form) const {
    Cost cost;
    const auto start = Clock::now();
    auto grammar = CompileForm(form);
    auto compiled = CompiledGrammar::Create(*std::move(grammar), trie_);
    if (!compiled.ok()) {
      std::cerr << compiled.status() << "\n";
      return cost;
    }
    cost.compile = Microseconds(Clock::now() - start) / 1000;
    cost.cold = Answers(**compiled, 1);
    Answers(**compiled, kAnswers);
    cost.warm = Answers(**compiled, kAnswers);
    return cost;
  }

 private:
  static constexpr SamplingParams kSampling = {.temperature = 1, .seed = 1};

  const std::vector<float>& Logits(int i) const { return logits_[static_cast<size_t>(i) % 16]; }

  // The mean cost of a token over so many answers.
  double Answers(CompiledGrammar& grammar, int count) const {
    int64_t tokens = 0;
    const auto start = Clock::now();
    for (int answer = 0; answer < count; ++answer) {
      auto constraint = grammar.NewConstraint();
      for (int i = 0; i < kMaxTokens; ++i) {
        const auto id = DrawAllowed(sampler_, Logits(i + answer), kSampling,
                                    answer * kMaxTokens + i, *constraint);
        ++tokens;
        if (!id.ok() || *id == kEnd || constraint->complete()) break;
      }
    }
    return Microseconds(Clock::now() - start) / static_cast<double>(tokens);
  }

  mutable Sampler sampler_;
  const std::shared_ptr<const TokenTrie> trie_;  // shared with the grammars
  std::vector<float> logits_[16];
  mutable int64_t used_ = 0;
};

absl::Status Run() {
  const Bench bench;
  const double limit = bench.Unconstrained();
  Json rows = Json::array();
  const auto add = [&](const std::string& work, double ours, const char* unit, const Json& most) {
    rows.push_back({{"work", work},
                    {"ours", ours},
                    {"unit", unit},
                    {"peer", nullptr},
                    {"peer_name", nullptr},
                    {"limit", most}});
  };
  const std::vector<std::pair<std::string, Form>> forms = {
      {"regex", {Form::Kind::kRegex, "[A-Z][a-z]+( [a-z]+){3,20}\\."}},
      {"ebnf",
       {Form::Kind::kEbnf,
        "root ::= expr\nexpr ::= term ([-+*/] term)*\nterm ::= [0-9]+ | \"(\" expr \")\"\n"}},
      {"json schema",
       {Form::Kind::kJsonSchema,
        R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 100},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
            "size": {"type": "integer", "minimum": 0, "maximum": 1000},
            "kind": {"enum": ["small", "large"]}}, "required": ["name", "tags", "size", "kind"]})"}},
      {"json object", {Form::Kind::kJsonObject, ""}},
  };
  for (const auto& [name, form] : forms) {
    const Cost cost = bench.Measure(form);
    add(absl::StrCat(name, ", compile"), cost.compile, "ms", nullptr);
    add(absl::StrCat(name, ", a token, cold"), cost.cold, "us", limit);
    add(absl::StrCat(name, ", a token, warm"), cost.warm, "us", limit);
  }
  std::cout << Json{{"rows", std::move(rows)}}.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::inference::grammar

int main(int argc, char** argv) {
  CLI::App app("What a form costs a token", "floe-bench-grammar");
  return floe::bench::Main(app, argc, argv, [] { return floe::inference::grammar::Run(); });
}
