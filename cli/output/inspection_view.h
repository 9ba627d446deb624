// An inspection as people read it: before and after side by side.
#pragma once

#include <string>

#include "trainer/inspection/report.h"

namespace floe::cli {

// Ends with a line break. Lines of at most 100 columns, but for tokens that are longer.
std::string InspectionView(const trainer::InspectionReport& report);

}  // namespace floe::cli
