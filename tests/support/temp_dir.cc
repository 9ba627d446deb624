#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>

namespace floe::test {

TempDir::TempDir() {
  std::string name = ::testing::TempDir() + "/floe-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    std::fprintf(stderr, "cannot make a folder %s: %s\n", name.c_str(), std::strerror(errno));
    std::abort();
  }
  path_ = std::filesystem::path(name).lexically_normal();
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempDir::Write(std::string_view name, std::string_view bytes) const {
  const std::filesystem::path path = path_ / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
  return path;
}

}  // namespace floe::test
