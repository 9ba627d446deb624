// Any bytes as an inspection's report: refused, or a report that is written and read back
// unchanged.
#include <string>

#include "tests/support/fuzzing.h"
#include "trainer/inspection/report.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto report = floe::trainer::ParseInspectionJson(floe::test::AsText(data, size));
  if (!report.ok()) {
    Require(absl::IsDataLoss(report.status()));
    return 0;
  }
  Require(report->text_tokens >= 0);
  const std::string written = InspectionJson(*report);
  const auto again = floe::trainer::ParseInspectionJson(written);
  Require(again.ok() && InspectionJson(*again) == written);
  return 0;
}
