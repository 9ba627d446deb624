#include "inference/grammar/number_range.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace floe::inference::grammar {
namespace {

Expression Digit(char low, char high) {
  return Expression::Set(
      CodePointSet({{static_cast<unsigned char>(low), static_cast<unsigned char>(high)}}));
}

Expression Digits(size_t least, size_t most) {
  return Expression::Repeat(Digit('0', '9'), static_cast<int>(least), static_cast<int>(most));
}

Expression Text(std::string_view text) { return Expression::Literal(std::string(text)); }

// As many digits as `bound` has, not below (or not above) it.
Expression AsFarAs(std::string_view bound, bool at_least) {
  if (bound.empty()) return Expression::Sequence({});
  std::vector<Expression> ways;
  const char edge = bound.front();
  if (at_least ? edge < '9' : edge > '0') {
    ways.push_back(Expression::Sequence({at_least ? Digit(static_cast<char>(edge + 1), '9')
                                                  : Digit('0', static_cast<char>(edge - 1)),
                                         Digits(bound.size() - 1, bound.size() - 1)}));
  }
  ways.push_back(
      Expression::Sequence({Text(bound.substr(0, 1)), AsFarAs(bound.substr(1), at_least)}));
  return Expression::Choice(std::move(ways));
}

// Between two numbers of equally many digits.
Expression SameLength(const std::string& low, const std::string& high) {
  if (low == high) return Text(low);
  const auto at =
      static_cast<size_t>(std::mismatch(low.begin(), low.end(), high.begin()).first - low.begin());
  const size_t rest = low.size() - at - 1;
  std::vector<Expression> ways;
  ways.push_back(
      Expression::Sequence({Text(low.substr(at, 1)), AsFarAs(low.substr(at + 1), true)}));
  if (low[at] + 1 < high[at]) {
    ways.push_back(Expression::Sequence(
        {Digit(static_cast<char>(low[at] + 1), static_cast<char>(high[at] - 1)),
         Digits(rest, rest)}));
  }
  ways.push_back(
      Expression::Sequence({Text(high.substr(at, 1)), AsFarAs(high.substr(at + 1), false)}));
  return Expression::Sequence({Text(low.substr(0, at)), Expression::Choice(std::move(ways))});
}

// Integers in [low, high], 0 <= low.
Expression Between(int64_t low, int64_t high) {
  std::vector<Expression> ways;
  for (size_t digits = std::to_string(low).size(); low <= high; ++digits) {
    const int64_t longest = std::stoll(std::string(digits, '9'));
    ways.push_back(SameLength(std::to_string(low), std::to_string(std::min(high, longest))));
    low = longest + 1;
  }
  return Expression::Choice(std::move(ways));
}

// Numbers at least 0 between the bounds; an open end is left out.
Expression Magnitudes(int64_t low, bool low_open, int64_t high, bool high_open) {
  std::vector<Expression> ways;
  if (low > high || (low == high && (low_open || high_open))) return Expression::Choice({});
  const auto fraction = Expression::Optional(Expression::Sequence({Text("."), Digits(1, 6)}));
  const int64_t first = low_open ? low + 1 : low;
  if (low_open) {
    ways.push_back(Expression::Sequence(
        {Text(std::to_string(low)), Text("."), Digits(0, 5), Digit('1', '9')}));
  }
  if (first < high) ways.push_back(Expression::Sequence({Between(first, high - 1), fraction}));
  if (!high_open) ways.push_back(Text(std::to_string(high)));
  return Expression::Choice(std::move(ways));
}

Expression Negative(Expression magnitude) {
  return Expression::Sequence({Text("-"), std::move(magnitude)});
}

}  // namespace

Expression IntegerBetween(const NumberBounds& bounds) {
  const int64_t least = bounds.least.value_or(-kMaxInteger);
  const int64_t most = bounds.most.value_or(kMaxInteger);
  std::vector<Expression> ways;
  if (most >= 0) ways.push_back(Between(std::max<int64_t>(least, 0), most));
  if (least < 0) ways.push_back(Negative(Between(std::max<int64_t>(-most, 1), -least)));
  return Expression::Choice(std::move(ways));
}

Expression NumberBetween(const NumberBounds& bounds) {
  const int64_t least = bounds.least.value_or(-kMaxNumberBound);
  const int64_t most = bounds.most.value_or(kMaxNumberBound);
  std::vector<Expression> ways;
  if (most >= 0) {
    ways.push_back(Magnitudes(std::max<int64_t>(least, 0), least >= 0 && bounds.above_least, most,
                              bounds.below_most));
  }
  if (least < 0) {
    // -0.5 lies above -1 and below 0.
    const bool to_zero = most >= 0;
    ways.push_back(Negative(
        Magnitudes(to_zero ? 0 : -most, to_zero || bounds.below_most, -least, bounds.above_least)));
  }
  return Expression::Choice(std::move(ways));
}

}  // namespace floe::inference::grammar
