// What things cost: one whole number of picodollars for each (model, tier, kind), computed once
// when the book is read. The form of the YAML is described in README.md.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "billing/money/money.h"
#include "billing/pricing/terms.h"

namespace floe::billing {

// Of one token or call.
struct Price {
  Money price;  // what is charged
  Money cost;   // the same before the margin
  bool operator==(const Price&) const = default;
};

// Immutable and thread-safe once made.
class PriceBook {
 public:
  // INVALID_ARGUMENT names the line and what to do: unknown keys, a value that is no decimal
  // number, a negative price, and a price or cost that is not a whole number of picodollars a
  // token.
  static absl::StatusOr<PriceBook> Parse(std::string_view yaml);

  const std::string& currency() const { return currency_; }

  // `model` is `teams/{team}/models/{model}` or a bare id. The book's entry for the whole name goes
  // before that for the id, and that before "*". FAILED_PRECONDITION, NO_PRICE, when the book has
  // none: what has no price cannot be charged, and is not free. Kinds that are left out:
  // cached_input costs what input costs, cached_output and call cost nothing.
  absl::StatusOr<Price> TokenPrice(std::string_view model, Tier tier, Kind kind) const;

  // Of one call of `operation`: the book's `operations` entry, else the model's `call`. `retrieval`
  // and `tool` need an entry.
  absl::StatusOr<Price> CallPrice(Operation operation, std::string_view model, Tier tier) const;

  // What a request with any usage costs at least; zero by default.
  Money Minimum(std::string_view model) const;

  // Whether the model has prices in that tier.
  bool Offers(std::string_view model, Tier tier) const;

 private:
  friend class PriceBookReader;
  using Prices = std::array<std::optional<Price>, kPricedKinds>;
  using Tiers = std::array<std::optional<Prices>, kTiers.size()>;
  struct Model {
    Tiers tiers;
    Money minimum;
  };

  const Model* Find(std::string_view model) const;
  const Prices* Find(std::string_view model, Tier tier) const;

  std::string currency_ = "USD";
  Money minimum_;
  std::map<std::string, Model, std::less<>> models_;
  std::map<Operation, std::array<std::optional<Price>, kTiers.size()>> operations_;
};

}  // namespace floe::billing
