#include "billing/money/money.h"

#include <gtest/gtest.h>

#include <random>

#include "billing/money/allocation.h"
#include "billing/money/decimal.h"

namespace floe::billing {
namespace {

constexpr char kMost[] = "170141183460469231731687303715884105727";
constexpr char kLeast[] = "-170141183460469231731687303715884105728";

TEST(MoneyTest, ParsesAndPrintsEveryPicodollar) {
  for (const char* text : {"0", "1", "-1", "150000", kMost, kLeast}) {
    EXPECT_EQ(Money::Parse(text)->ToString(), text);
  }
  EXPECT_EQ(Money::ParseDollars("0.15")->ToString(), "150000000000");
  EXPECT_EQ(Money::ParseDollars("-12")->ToString(), "-12000000000000");
  EXPECT_EQ(Money::ParseDollars("0.000000000001")->ToString(), "1");
  EXPECT_EQ(Money::Picos(150'000).ToDollars(), "0.00000015");
  EXPECT_EQ(Money::Picos(-1).ToDollars(), "-0.000000000001");
  EXPECT_EQ(Money::Dollars(3).ToDollars(), "3.00");
  EXPECT_EQ(Money().ToDollars(), "0.00");
}

TEST(MoneyTest, RefusesWhatIsNoAmount) {
  for (const char* text : {"", "-", "+1", "1.5", "1e3", " 1", "0x10", "1,000"}) {
    EXPECT_EQ(Money::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const char* text : {"", "-", ".", "5.", "1e-3", "1,5", "0.0000000000001", "--1", "NaN"}) {
    EXPECT_EQ(Money::ParseDollars(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_EQ(Money::Parse("170141183460469231731687303715884105728").status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Money::ParseDollars("999999999999999999999999999999").status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(MoneyTest, ArithmeticIsCheckedAndNeverWraps) {
  const Money most = *Money::Parse(kMost), least = *Money::Parse(kLeast);
  EXPECT_EQ(*Add(most, Money::Picos(-1)), *Money::Parse("170141183460469231731687303715884105726"));
  EXPECT_EQ(Add(most, Money::Picos(1)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Subtract(least, Money::Picos(1)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Multiply(most, 2).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(*Multiply(Money::Picos(150'000), 1'234'567), Money::Picos(185'185'050'000));
  EXPECT_EQ(Multiply(least, -1).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(DecimalTest, IsExactOrAnError) {
  EXPECT_EQ(Int128ToString(*Decimal::Parse("0.075")->TimesPowerOfTen(6)), "75000");
  EXPECT_EQ(Int128ToString(*Decimal::Parse(".5")->TimesPowerOfTen(1)), "5");
  EXPECT_EQ(Int128ToString(*Decimal::Parse("1.500")->TimesPowerOfTen(1)), "15");
  EXPECT_FALSE(Decimal::Parse("0.0000005")->TimesPowerOfTen(6).ok());
  EXPECT_EQ(WriteDecimal(1'234'567, 6), "1.234567");
  EXPECT_EQ(WriteDecimal(-1, 6), "-0.000001");
  EXPECT_EQ(WriteDecimal(2'000'000, 6), "2");
  EXPECT_EQ(WriteDecimal(0, 6), "0");
  EXPECT_EQ(WriteDecimal(7, 0), "7");
}

TEST(AllocationTest, LargestRemaindersGetTheMissingCents) {
  // Three thirds of a dollar: 33 + 33 + 33 leaves one cent, which goes to the first of equals.
  const Money third = Money::Picos(Money::kPicosPerDollar / 3);
  const auto result = RoundByLargestRemainder({third, third, third});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->total, Money::Dollars(1));
  EXPECT_EQ(result->rounded[0], *Money::ParseDollars("0.34"));
  EXPECT_EQ(result->rounded[1], *Money::ParseDollars("0.33"));
  EXPECT_EQ(result->exact_total, *Money::Parse("999999999999"));
}

// Lago's traps: a cent of drift, and totals below zero.
TEST(AllocationTest, LinesAlwaysSumToTheTotalAndNoneMovesByACent) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Money> amounts(random() % 20);
    for (Money& amount : amounts) {
      const auto picos = static_cast<int64_t>(random() % 3'000'000'000'000);
      amount = Money::Picos(random() % 4 == 0 ? -picos : picos);
    }
    const auto result = RoundByLargestRemainder(amounts);
    ASSERT_TRUE(result.ok());
    Money sum, exact;
    for (size_t i = 0; i < amounts.size(); ++i) {
      sum = *Add(sum, result->rounded[i]);
      exact = *Add(exact, amounts[i]);
      const Int128 moved = result->rounded[i].picos() - amounts[i].picos();
      EXPECT_LT(moved < 0 ? -moved : moved, Money::kPicosPerCent);
      EXPECT_EQ(result->rounded[i].picos() % Money::kPicosPerCent, 0);
    }
    EXPECT_EQ(sum, result->total);
    EXPECT_EQ(exact, result->exact_total);
    EXPECT_EQ(result->total, RoundToCent(exact));
  }
}

TEST(AllocationTest, NothingIsZero) {
  EXPECT_EQ(RoundByLargestRemainder({})->total, Money());
  EXPECT_EQ(RoundToCent(Money::Picos(5'000'000'000)), *Money::ParseDollars("0.01"));
  EXPECT_EQ(RoundToCent(Money::Picos(-5'000'000'000)), *Money::ParseDollars("-0.01"));
  EXPECT_EQ(RoundToCent(Money::Picos(4'999'999'999)), Money());
}

}  // namespace
}  // namespace floe::billing
