#include "billing/pricing/price_book.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::billing {
namespace {

absl::Status NoPrice(std::string_view what, std::string_view model, Tier tier) {
  return WithReason(
      absl::FailedPreconditionError(
          absl::StrCat("the price book has no price for ", AbslView(what), " of model \"",
                       AbslView(model.substr(0, 200)), "\" in tier ", AbslView(Name(tier)),
                       "; publish a book that names it (a price of 0 is a price)")),
      "NO_PRICE",
      {{"model", std::string(model.substr(0, 200))}, {"tier", std::string(Name(tier))}});
}

}  // namespace

const PriceBook::Model* PriceBook::Find(std::string_view model) const {
  const auto exact = models_.find(model);
  if (exact != models_.end()) return &exact->second;
  const size_t slash = model.rfind('/');
  if (slash != std::string_view::npos) {
    const auto by_id = models_.find(model.substr(slash + 1));
    if (by_id != models_.end()) return &by_id->second;
  }
  const auto any = models_.find("*");
  return any == models_.end() || model.empty() ? nullptr : &any->second;
}

const PriceBook::Prices* PriceBook::Find(std::string_view model, Tier tier) const {
  const Model* found = Find(model);
  if (found == nullptr) return nullptr;
  const auto& prices = found->tiers[static_cast<size_t>(tier)];
  return prices ? &*prices : nullptr;
}

bool PriceBook::Offers(std::string_view model, Tier tier) const {
  return Find(model, tier) != nullptr;
}

Money PriceBook::Minimum(std::string_view model) const {
  const Model* found = Find(model);
  return found == nullptr ? minimum_ : found->minimum;
}

absl::StatusOr<Price> PriceBook::TokenPrice(std::string_view model, Tier tier, Kind kind) const {
  const Prices* prices = Find(model, tier);
  if (prices != nullptr) {
    const auto at = [&](Kind wanted) { return (*prices)[static_cast<size_t>(wanted)]; };
    if (const auto price = at(kind)) return *price;
    if (kind == Kind::kCachedInput && at(Kind::kInput)) return *at(Kind::kInput);
    if (kind == Kind::kCachedOutput || kind == Kind::kCall) return Price{};
  }
  return NoPrice(Name(kind), model, tier);
}

absl::StatusOr<Price> PriceBook::CallPrice(Operation operation, std::string_view model,
                                           Tier tier) const {
  const auto entry = operations_.find(operation);
  if (entry != operations_.end()) {
    if (const auto& price = entry->second[static_cast<size_t>(tier)]) return *price;
  }
  if (operation == Operation::kRetrieval || operation == Operation::kTool) {
    return NoPrice(absl::StrCat("a call of operation ", AbslView(Name(operation))), model, tier);
  }
  return TokenPrice(model, tier, Kind::kCall);
}

}  // namespace floe::billing
