#include "services/runner/memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace floe::runner {
namespace {

int64_t MachineBytes(const std::filesystem::path& meminfo) {
  std::ifstream file(meminfo);
  std::string name;
  int64_t kibibytes = 0;
  while (file >> name) {
    if (name == "MemTotal:") return file >> kibibytes ? kibibytes << 10 : 0;
    file.ignore(1 << 10, '\n');
  }
  return 0;
}

// `max`, and a file that is not there, are no limit.
int64_t LimitBytes(const std::filesystem::path& path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes ? bytes : 0;
}

}  // namespace

int64_t MemoryBytes(const std::filesystem::path& meminfo, const std::filesystem::path& cgroup) {
  int64_t bytes = MachineBytes(meminfo);
  for (const auto& path : {cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"}) {
    const int64_t limit = LimitBytes(path);
    if (limit > 0 && (bytes == 0 || limit < bytes)) bytes = limit;
  }
  return bytes;
}

void GiveBackFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace floe::runner
