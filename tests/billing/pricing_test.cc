#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "billing/pricing/charge.h"
#include "tests/billing/sample_book.h"

namespace floe::billing {
namespace {

using testing::HasSubstr;

PriceBook Sample() { return *PriceBook::Parse(kSampleBook); }

Usage Chat(Tier tier, Quantities quantities, const std::string& model = "hamlet") {
  return {Operation::kChat, model, tier, quantities};
}

std::string Error(const std::string& yaml) {
  const auto book = PriceBook::Parse(yaml);
  EXPECT_EQ(book.status().code(), absl::StatusCode::kInvalidArgument) << yaml;
  return std::string(book.status().message());
}

TEST(PriceBookTest, ComputesOneWholePriceForEachModelTierAndKind) {
  const PriceBook book = Sample();
  const auto price = [&](Tier tier, Kind kind) { return book.TokenPrice("hamlet", tier, kind); };
  EXPECT_EQ(price(Tier::kDefault, Kind::kInput)->price, Money::Picos(200'000));
  EXPECT_EQ(price(Tier::kDefault, Kind::kInput)->cost, Money::Picos(160'000));
  EXPECT_EQ(price(Tier::kFlex, Kind::kCachedInput)->price, Money::Picos(50'000));
  EXPECT_EQ(price(Tier::kPriority, Kind::kOutput)->price, Money::Picos(1'600'000));
  EXPECT_EQ(book.CallPrice(Operation::kChat, "hamlet", Tier::kDefault)->price,
            Money::Picos(100'000'000));
  EXPECT_EQ(book.CallPrice(Operation::kTool, "", Tier::kDefault)->price,
            Money::Picos(1'000'000'000));
  EXPECT_EQ(book.CallPrice(Operation::kTool, "", Tier::kPriority)->price,
            Money::Picos(2'000'000'000));
}

TEST(PriceBookTest, AWholeNameGoesBeforeAnIdAndThatBeforeTheStar) {
  const auto book = PriceBook::Parse(
      "models:\n"
      "  teams/nlp/models/hamlet: {default: {input: 3}}\n"
      "  hamlet: {default: {input: 2}}\n"
      "  '*': {default: {input: 1}}\n");
  ASSERT_TRUE(book.ok()) << book.status();
  const auto input = [&](const char* model) {
    return book->TokenPrice(model, Tier::kDefault, Kind::kInput)->price;
  };
  EXPECT_EQ(input("teams/nlp/models/hamlet"), Money::Picos(3'000'000));
  EXPECT_EQ(input("teams/law/models/hamlet"), Money::Picos(2'000'000));
  EXPECT_EQ(input("hamlet"), Money::Picos(2'000'000));
  EXPECT_EQ(input("teams/law/models/macbeth"), Money::Picos(1'000'000));
}

TEST(PriceBookTest, RefusesAPriceThatIsNoWholeNumberOfPicodollarsWithItsLine) {
  EXPECT_THAT(Error("models:\n  m:\n    default:\n      input: 0.15\n      output: 0.0000005\n"),
              HasSubstr("line 5: output 0.0000005 does not come to a whole number"));
  // Whole before its margin, and not after.
  EXPECT_THAT(Error("margin: 33.3%\nmodels:\n  m:\n    default: {input: 0.000001}\n"),
              HasSubstr("line 4: input 0.000001 does not come to a whole number"));
  EXPECT_THAT(Error("models:\n  m: {default: {input: 1, call: 0.0000000000001}}\n"),
              HasSubstr("line 2: call"));
  EXPECT_TRUE(PriceBook::Parse("unit: 1 token\nmodels:\n  m: {default: {input: 1}}\n").ok());
}

TEST(PriceBookTest, NamesEachMistakeWithItsLine) {
  EXPECT_THAT(Error("models:\n  m: {default: {input: 1}}\n  m: {default: {input: 2}}\n"),
              HasSubstr("line 3: \"m\" stands twice"));
  EXPECT_THAT(Error("models:\n  m:\n    standard: {input: 1}\n"),
              HasSubstr("line 3: unknown key \"standard\""));
  EXPECT_THAT(Error("models:\n  m: {default: {input: -1}}\n"), HasSubstr("negative"));
  EXPECT_THAT(Error("models:\n  m: {default: {input: 1e-3}}\n"), HasSubstr("decimal number"));
  EXPECT_THAT(Error("models:\n  m: {default: {output: 1}}\n"), HasSubstr("needs a price of input"));
  EXPECT_THAT(Error("models:\n  m: {}\n"), HasSubstr("prices in no tier"));
  EXPECT_THAT(Error("currency: EUR\nmodels: {}\n"), HasSubstr("must be USD"));
  EXPECT_THAT(Error("unit: 10 tokens\nmodels: {}\n"), HasSubstr("unit must be"));
  EXPECT_THAT(Error("margin: -5%\nmodels: {}\n"), HasSubstr("margin must not be negative"));
  EXPECT_THAT(Error("operations: {}\n"), HasSubstr("models is missing"));
  EXPECT_THAT(Error("models: [a]\n"), HasSubstr("must be a mapping"));
  EXPECT_THAT(Error("models: {a: {default: {input: [1]}}}\n"), HasSubstr("must be one value"));
  EXPECT_THAT(Error("a: b: c\n"), HasSubstr("line 1"));
  EXPECT_THAT(Error(std::string(2 << 20, '#')), HasSubstr("1048576"));
  EXPECT_THAT(Error(""), HasSubstr("must be a mapping"));
}

TEST(ChargeTest, HasALineForEachKindThatWasUsed) {
  const auto charge = PriceUsage(
      Sample(),
      Chat(Tier::kDefault,
           {.input_tokens = 1200, .cached_input_tokens = 300, .output_tokens = 50, .calls = 1}));
  ASSERT_TRUE(charge.ok()) << charge.status();
  ASSERT_EQ(charge->lines.size(), 4u);
  EXPECT_EQ(charge->lines[0].amount, Money::Picos(240'000'000));
  EXPECT_EQ(charge->lines[1].amount, Money::Picos(30'000'000));
  EXPECT_EQ(charge->lines[2].amount, Money::Picos(40'000'000));
  EXPECT_EQ(charge->lines[3].amount, Money::Picos(100'000'000));
  EXPECT_EQ(charge->total, Money::Picos(410'000'000));
  EXPECT_EQ(charge->cost, Money::Picos(328'000'000));
  EXPECT_EQ(Arithmetic(charge->lines[0]), "1,200 input tokens × $0.0000002 = $0.00024");
}

// LiteLLM #37992: zero usage was billed as an estimate.
TEST(ChargeTest, NoUsageCostsNothingAlsoWithAMinimum) {
  const auto book = PriceBook::Parse("minimum: 0.01\nmodels:\n  m: {default: {input: 1}}\n");
  EXPECT_EQ(PriceUsage(*book, Chat(Tier::kDefault, {}, "m"))->total, Money());
  EXPECT_TRUE(PriceUsage(*book, Chat(Tier::kDefault, {}, "m"))->lines.empty());
  const auto charge = PriceUsage(*book, Chat(Tier::kDefault, {.input_tokens = 1}, "m"));
  EXPECT_EQ(charge->total, *Money::ParseDollars("0.01"));
  ASSERT_EQ(charge->lines.size(), 2u);
  EXPECT_EQ(charge->lines[1].kind, Kind::kMinimum);
  EXPECT_EQ(charge->lines[1].quantity * charge->lines[1].unit_price.picos(),
            charge->lines[1].amount.picos());
}

// Envoy quota policy: a model name that did not match was not counted at all.
TEST(ChargeTest, WhatHasNoPriceIsRefusedNeverFree) {
  const PriceBook book = Sample();
  for (const Usage& usage : {Chat(Tier::kDefault, {.input_tokens = 1}, "unknown"),
                             Chat(Tier::kPriority, {.input_tokens = 1}, "embedder"),
                             Chat(Tier::kDefault, {.output_tokens = 1}, "embedder"),
                             Chat(Tier::kDefault, {.input_tokens = 1}, "")}) {
    const auto charge = PriceUsage(book, usage);
    EXPECT_EQ(charge.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(charge.status())->reason, "NO_PRICE");
  }
  const auto without = PriceBook::Parse("models:\n  m: {default: {input: 1}}\n");
  const Usage tool{Operation::kTool, "", Tier::kDefault, {.calls = 1}};
  EXPECT_EQ(ReasonOf(PriceUsage(*without, tool).status())->reason, "NO_PRICE");
}

TEST(ChargeTest, CacheHitsPayCachedInputAndTheBooksCachedOutput) {
  const Usage hit =
      Chat(Tier::kDefault, {.cached_input_tokens = 100, .cached_output_tokens = 40, .calls = 0});
  EXPECT_EQ(PriceUsage(Sample(), hit)->total, Money::Picos(10'000'000));
  const auto priced =
      PriceBook::Parse("models:\n  hamlet: {default: {input: 1, cached_output: 0.5}}\n");
  // Without a price of its own, cached input costs what input costs.
  EXPECT_EQ(PriceUsage(*priced, hit)->total, Money::Picos(100 * 1'000'000 + 40 * 500'000));
}

TEST(ChargeTest, RefusesNegativeAndImpossiblyLargeQuantities) {
  EXPECT_EQ(PriceUsage(Sample(), Chat(Tier::kDefault, {.input_tokens = -1})).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PriceUsage(Sample(), Chat(Tier::kDefault, {.calls = -1})).status().code(),
            absl::StatusCode::kInvalidArgument);
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(PriceUsage(Sample(), Chat(Tier::kDefault, {.input_tokens = most}))->total.ToString(),
            "1844674407370955161400000");
}

TEST(TierCreditTest, GoesDownToTheTierThatWasKeptAndNeverUp) {
  const PriceBook book = Sample();
  const Quantities quantities{.input_tokens = 100, .output_tokens = 10};
  const auto credit = [&](Tier asked, Tier served) {
    const Usage usage = Chat(asked, quantities);
    return *TierCredit(book, usage, served, *PriceUsage(book, usage));
  };
  EXPECT_EQ(credit(Tier::kPriority, Tier::kDefault), Money::Picos(28'000'000));
  EXPECT_EQ(credit(Tier::kPriority, Tier::kFlex), Money::Picos(42'000'000));
  EXPECT_EQ(credit(Tier::kDefault, Tier::kDefault), Money());
  EXPECT_EQ(credit(Tier::kDefault, Tier::kPriority), Money());
  EXPECT_EQ(credit(Tier::kFlex, Tier::kPriority), Money());
}

TEST(TierCreditTest, IsCappedByTheChargeAndNeverNegative) {
  // flex dearer than priority: a strange book, and no reason to charge more afterwards.
  const auto strange =
      PriceBook::Parse("models:\n  m:\n    flex: {input: 9}\n    priority: {input: 1}\n");
  const Usage usage = Chat(Tier::kPriority, {.input_tokens = 5}, "m");
  const Charge charge = *PriceUsage(*strange, usage);
  EXPECT_EQ(*TierCredit(*strange, usage, Tier::kFlex, charge), Money());
  // `default` is not offered: the next tier above what was kept is the one asked for.
  EXPECT_EQ(*TierCredit(*strange, usage, Tier::kDefault, charge), Money());
  const auto free =
      PriceBook::Parse("models:\n  m:\n    flex: {input: 0}\n    priority: {input: 1}\n");
  EXPECT_EQ(*TierCredit(*free, usage, Tier::kFlex, charge), charge.total);
}

// A quote must never be below what the request turns out to cost.
TEST(WorstCaseTest, BoundsEveryOutcome) {
  std::mt19937_64 random(11);
  const auto pick = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  for (int round = 0; round < 500; ++round) {
    const auto book = PriceBook::Parse(
        absl::StrCat("minimum: 0.00", pick(9), "\nmodels:\n  m: {default: {input: ", pick(5),
                     ", cached_input: ", pick(9), ", output: ", pick(9),
                     ", cached_output: ", pick(12), ", call: 0.0", pick(9), "}}\n"));
    ASSERT_TRUE(book.ok()) << book.status();
    const int64_t input = pick(2000), output = pick(2000);
    const Money quote =
        WorstCase(*book, Operation::kChat, "m", Tier::kDefault, input, output)->total;
    const int64_t cached = pick(input);
    for (const bool hit : {false, true}) {
      Quantities q{.input_tokens = input - cached, .cached_input_tokens = cached, .calls = 1};
      (hit ? q.cached_output_tokens : q.output_tokens) = pick(output);
      EXPECT_LE(PriceUsage(*book, Chat(Tier::kDefault, q, "m"))->total, quote);
    }
  }
}

}  // namespace
}  // namespace floe::billing
