#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "cli/program.h"

namespace {

int Width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

int main(int argc, char** argv) {
  const floe::cli::Streams streams{.in = std::cin,
                                   .out = std::cout,
                                   .err = std::cerr,
                                   .out_is_terminal = ::isatty(STDOUT_FILENO) == 1,
                                   .err_is_terminal = ::isatty(STDERR_FILENO) == 1,
                                   .in_is_terminal = ::isatty(STDIN_FILENO) == 1,
                                   .width = Width()};
  std::error_code error;
  std::filesystem::path folder = std::filesystem::current_path(error);
  if (error) folder = "/";  // the current folder was deleted: nothing is found upward from it
  return floe::cli::RunProgram({argv + 1, argv + argc}, streams, Variable, folder);
}
