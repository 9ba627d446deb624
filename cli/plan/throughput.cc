#include "cli/plan/throughput.h"

#include <algorithm>

namespace floe::cli {

double Throughput::FlopsPerSecond() const {
  if (runs.empty()) return 0;
  std::vector<double> sustained;
  for (const PastRun& run : runs) sustained.push_back(run.flops_per_second);
  const auto middle = sustained.begin() + static_cast<std::ptrdiff_t>(sustained.size() / 2);
  std::nth_element(sustained.begin(), middle, sustained.end());
  return *middle;
}

}  // namespace floe::cli
