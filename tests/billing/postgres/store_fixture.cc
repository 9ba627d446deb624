#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {

UsageEvent StoreTest::Event(const std::string& id) const {
  return {.usage_id = id,
          .time = clock_.Now() - absl::Minutes(1),
          .team = "nlp",
          .key = "k1",
          .gateway = "g1",
          .usage = {Operation::kChat,
                    "hamlet",
                    Tier::kDefault,
                    {.input_tokens = 100, .output_tokens = 10}},
          .model_version = "7",
          .price_book = "b1",
          .arrived_tokens = 10};
}

}  // namespace floe::billing
