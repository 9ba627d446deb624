// Any line as a JSON Schema, and any bytes behind it as an answer: a schema is refused, or judges
// the answer.
#include <algorithm>

#include "gateway/schema/schema.h"
#include "tests/support/fuzzing.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = floe::test::AsText(data, size);
  const size_t end = std::min(text.find('\n'), text.size());
  const auto schema = floe::gateway::Schema::Compile(text.substr(0, end));
  if (!schema.ok()) {
    Require(absl::IsInvalidArgument(schema.status()));
    return 0;
  }
  const absl::Status judged = (*schema)->Check(text.substr(end));
  Require(judged.ok() || absl::IsFailedPrecondition(judged));
  return 0;
}
