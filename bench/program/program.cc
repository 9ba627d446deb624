#include "bench/program/program.h"

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"

namespace floe::bench {

int Main(CLI::App& app, int argc, const char* const* argv,
         const std::function<absl::Status()>& work) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    // What is missing is told before what is not known, and may be missing since it was misspelt.
    const std::vector<std::string> unknown = app.remaining();
    std::cerr << app.get_name() << ": "
              << (unknown.empty() ? error.what()
                                  : "it does not know " + absl::StrJoin(unknown, " "))
              << "\n\n"
              << app.help();
    return 2;
  }
  const absl::Status status = work();
  if (status.ok()) return 0;
  std::cerr << app.get_name() << ": " << status.message() << "\n";
  return 1;
}

}  // namespace floe::bench
