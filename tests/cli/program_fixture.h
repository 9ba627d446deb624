// The whole program in process against a fake door, for tests of commands.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"

#include "tests/cli/fake_fleet.h"
#include "tests/support/temp_dir.h"

namespace floe::cli {

class ProgramTest : public testing::Test {
 protected:
  // The exit code; what was printed is in out_ and err_.
  int Run(std::vector<std::string> words, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out, err;
    const int code = RunProgram(
        words, {.in = in, .out = out, .err = err},
        [this](const char* name) { return variables_[name]; }, dir_.path());
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  test::FakeFleet fleet_;
  test::TempDir dir_;
  std::map<std::string, std::string> variables_ = {
      {"FLOE_DOOR", fleet_.door()}, {"FLOE_KEY", test::kFakeKey}, {"FLOE_INSECURE", "1"}};
  std::string out_, err_;
};

}  // namespace floe::cli
