// Reads a price book. Scalars stay text until Decimal reads them: no number passes through a
// double.
#include <set>

#include "absl/strings/str_cat.h"
#include <yaml-cpp/yaml.h>

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "billing/money/decimal.h"
#include "billing/pricing/price_book.h"

namespace floe::billing {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
// A million dollars a token. Keeps every product with a 63-bit quantity inside 128 bits.
constexpr Int128 kMaxPrice = Int128{1'000'000'000'000'000'000};

absl::Status At(const YAML::Node& node, std::string_view what) { return BadYaml(node, what); }

absl::Status At(const YAML::Node& node, const absl::Status& status) {
  return At(node, StdView(status.message()));
}

absl::StatusOr<std::string> Text(const YAML::Node& node, std::string_view what) {
  if (!node.IsScalar()) return At(node, absl::StrCat(AbslView(what), " must be one value"));
  return node.Scalar();
}

// Every key once, and only those of `allowed` (any, when empty).
absl::Status CheckKeys(const YAML::Node& node, std::string_view what,
                       const std::set<std::string>& allowed) {
  if (!node.IsMap()) return At(node, absl::StrCat(AbslView(what), " must be a mapping"));
  std::set<std::string> seen;
  for (const auto& entry : node) {
    FLOE_ASSIGN_OR_RETURN(const std::string key, Text(entry.first, "a key"));
    if (!seen.insert(key).second) {
      return At(entry.first, absl::StrCat("\"", key, "\" stands twice in ", AbslView(what)));
    }
    if (allowed.empty() || allowed.contains(key)) continue;
    std::string known;
    for (const std::string& name : allowed)
      absl::StrAppend(&known, known.empty() ? "" : ", ", name);
    return At(entry.first,
              absl::StrCat("unknown key \"", key, "\" in ", AbslView(what), "; it takes ", known));
  }
  return absl::OkStatus();
}

}  // namespace

class PriceBookReader {
 public:
  static absl::StatusOr<PriceBook> Read(const YAML::Node& root) {
    PriceBookReader reader;
    FLOE_RETURN_IF_ERROR(reader.ReadRoot(root));
    return std::move(reader.book_);
  }

 private:
  using Prices = PriceBook::Prices;

  absl::Status ReadRoot(const YAML::Node& root) {
    FLOE_RETURN_IF_ERROR(CheckKeys(
        root, "the book", {"currency", "unit", "margin", "minimum", "models", "operations"}));
    if (const auto node = root["currency"]) {
      FLOE_ASSIGN_OR_RETURN(book_.currency_, Text(node, "currency"));
      if (book_.currency_ != "USD") return At(node, "currency must be USD: the ledger has one");
    }
    if (const auto node = root["unit"]) FLOE_RETURN_IF_ERROR(ReadUnit(node));
    Decimal margin;
    if (const auto node = root["margin"]) {
      FLOE_ASSIGN_OR_RETURN(margin, ReadMargin(node));
    }
    if (const auto node = root["minimum"]) {
      FLOE_ASSIGN_OR_RETURN(book_.minimum_, ReadMinimum(node));
    }
    const auto models = root["models"];
    if (!models) return At(root, "models is missing: name at least one, or \"*\" for all");
    FLOE_RETURN_IF_ERROR(CheckKeys(models, "models", {}));
    for (const auto& entry : models) {
      FLOE_RETURN_IF_ERROR(ReadModel(entry.first.Scalar(), entry.second, margin));
    }
    if (book_.models_.empty()) return At(models, "models is empty");
    const auto operations = root["operations"];
    return operations ? ReadOperations(operations, margin) : absl::OkStatus();
  }

  absl::Status ReadUnit(const YAML::Node& node) {
    FLOE_ASSIGN_OR_RETURN(const std::string unit, Text(node, "unit"));
    if (unit == "1M tokens")
      unit_power_ = 6;
    else if (unit == "1K tokens")
      unit_power_ = 3;
    else if (unit == "1 token")
      unit_power_ = 0;
    else
      return At(node, "unit must be \"1M tokens\", \"1K tokens\" or \"1 token\"");
    return absl::OkStatus();
  }

  // "25%" or "0.25" as 0.25.
  static absl::StatusOr<Decimal> ReadMargin(const YAML::Node& node) {
    FLOE_ASSIGN_OR_RETURN(std::string text, Text(node, "margin"));
    const bool percent = text.ends_with('%');
    if (percent) text.pop_back();
    auto margin = Decimal::Parse(text);
    if (!margin.ok()) return At(node, margin.status());
    if (percent) margin->scale += 2;
    if (margin->coefficient < 0) return At(node, "margin must not be negative");
    return *margin;
  }

  static absl::StatusOr<Money> ReadMinimum(const YAML::Node& node) {
    FLOE_ASSIGN_OR_RETURN(const std::string text, Text(node, "minimum"));
    const auto amount = Money::ParseDollars(text);
    if (!amount.ok()) return At(node, amount.status());
    if (amount->picos() < 0 || amount->picos() > kMaxPrice) {
      return At(node, "minimum must be between 0 and 1000000 dollars");
    }
    return *amount;
  }

  // Dollars for 10^unit_power of something as whole picodollars for one, with and without margin.
  static absl::StatusOr<Price> ReadPrice(const YAML::Node& node, std::string_view what,
                                         const Decimal& margin, int unit_power) {
    FLOE_ASSIGN_OR_RETURN(const std::string text, Text(node, what));
    const auto dollars = Decimal::Parse(text);
    if (!dollars.ok()) return At(node, dollars.status());
    if (dollars->coefficient < 0) return At(node, absl::StrCat(AbslView(what), " is negative"));
    const auto one = Decimal{1, 0}.TimesPowerOfTen(margin.scale);
    if (!one.ok()) return At(node, one.status());
    const auto marked_up = Multiply(*dollars, Decimal{*one + margin.coefficient, margin.scale});
    if (!marked_up.ok()) return At(node, marked_up.status());
    const auto cost = dollars->TimesPowerOfTen(12 - unit_power);
    const auto price = marked_up->TimesPowerOfTen(12 - unit_power);
    if (!cost.ok() || !price.ok()) {
      return At(node, absl::StrCat(AbslView(what), " ", text,
                                   " does not come to a whole number of picodollars for one ",
                                   unit_power == 0 ? "" : "token ",
                                   cost.ok() ? "with its margin" : "", "; write fewer decimals"));
    }
    if (*price > kMaxPrice) return At(node, absl::StrCat(AbslView(what), " is too large"));
    return Price{Money::Picos(*price), Money::Picos(*cost)};
  }

  absl::Status ReadModel(const std::string& name, const YAML::Node& node, Decimal margin) {
    FLOE_RETURN_IF_ERROR(
        CheckKeys(node, name, {"margin", "minimum", "flex", "default", "priority"}));
    PriceBook::Model model;
    model.minimum = book_.minimum_;
    if (const auto own = node["margin"]) {
      FLOE_ASSIGN_OR_RETURN(margin, ReadMargin(own));
    }
    if (const auto own = node["minimum"]) {
      FLOE_ASSIGN_OR_RETURN(model.minimum, ReadMinimum(own));
    }
    bool any = false;
    for (const Tier tier : kTiers) {
      const auto prices = node[std::string(Name(tier))];
      if (!prices) continue;
      any = true;
      FLOE_ASSIGN_OR_RETURN(model.tiers[static_cast<size_t>(tier)], ReadPrices(prices, margin));
    }
    if (!any) return At(node, absl::StrCat("model ", name, " has prices in no tier"));
    book_.models_[name] = std::move(model);
    return absl::OkStatus();
  }

  absl::StatusOr<Prices> ReadPrices(const YAML::Node& node, const Decimal& margin) {
    FLOE_RETURN_IF_ERROR(CheckKeys(node, "the prices of a tier",
                                   {"input", "cached_input", "output", "cached_output", "call"}));
    Prices prices;
    for (const auto& entry : node) {
      FLOE_ASSIGN_OR_RETURN(const Kind kind, ParseKind(entry.first.Scalar()));
      FLOE_ASSIGN_OR_RETURN(
          prices[static_cast<size_t>(kind)],
          ReadPrice(entry.second, Name(kind), margin, kind == Kind::kCall ? 0 : unit_power_));
    }
    if (!prices[static_cast<size_t>(Kind::kInput)]) {
      return At(node, "a tier needs a price of input (0 is a price)");
    }
    return prices;
  }

  // `retrieval: {call: 0.001}` for all tiers, or `retrieval: {flex: 0.001, default: 0.002, …}`.
  absl::Status ReadOperations(const YAML::Node& node, const Decimal& margin) {
    FLOE_RETURN_IF_ERROR(
        CheckKeys(node, "operations", {"chat", "completion", "embedding", "retrieval", "tool"}));
    for (const auto& entry : node) {
      FLOE_ASSIGN_OR_RETURN(const Operation operation, ParseOperation(entry.first.Scalar()));
      FLOE_RETURN_IF_ERROR(
          CheckKeys(entry.second, entry.first.Scalar(), {"call", "flex", "default", "priority"}));
      auto& prices = book_.operations_[operation];
      for (const auto& price : entry.second) {
        const std::string key = price.first.Scalar();
        FLOE_ASSIGN_OR_RETURN(const Price read, ReadPrice(price.second, key, margin, 0));
        for (const Tier tier : kTiers) {
          auto& slot = prices[static_cast<size_t>(tier)];
          if (key == Name(tier) || (key == "call" && !slot)) slot = read;
        }
      }
    }
    return absl::OkStatus();
  }

  PriceBook book_;
  int unit_power_ = 6;
};

absl::StatusOr<PriceBook> PriceBook::Parse(std::string_view yaml) {
  absl::StatusOr<PriceBook> book = PriceBook();
  const absl::Status status = ReadYaml(yaml, kMaxBytes, [&](const YAML::Node& root) {
    book = PriceBookReader::Read(root);
    return book.status();
  });
  if (status.ok()) return book;
  return absl::Status(status.code(), absl::StrCat("price book, ", status.message()));
}

}  // namespace floe::billing
