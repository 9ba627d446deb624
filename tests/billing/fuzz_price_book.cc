// Any bytes as a price book: refused, or prices that are no gifts, cover their cost, and stay whole
// numbers for any quantity.
#include <cstdint>

#include "billing/pricing/price_book.h"
#include "tests/support/fuzzing.h"

namespace {

using namespace floe::billing;
using floe::test::Require;

void Check(const absl::StatusOr<Price>& price) {
  if (!price.ok()) return;
  Require(price->cost >= Money() && price->price >= price->cost);
  Require(Multiply(price->price, INT64_MAX).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto book = PriceBook::Parse(floe::test::AsText(data, size));
  if (!book.ok()) {
    Require(!book.status().message().empty());
    return 0;
  }
  for (const char* model : {"m", "teams/a/models/m", "teams/b/models/other"}) {
    Require(book->Minimum(model) >= Money());
    for (const Tier tier : kTiers) {
      for (const Kind kind :
           {Kind::kInput, Kind::kCachedInput, Kind::kOutput, Kind::kCachedOutput, Kind::kCall}) {
        const auto price = book->TokenPrice(model, tier, kind);
        Require(!price.ok() || book->Offers(model, tier));
        Check(price);
      }
      for (const Operation operation :
           {Operation::kChat, Operation::kEmbedding, Operation::kRetrieval, Operation::kTool}) {
        Check(book->CallPrice(operation, model, tier));
      }
    }
  }
  return 0;
}
