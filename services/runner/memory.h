// The memory that this process may take.
#pragma once

#include <cstdint>
#include <filesystem>

namespace floe::runner {

// In bytes: the machine's (`MemTotal` of proc(5)), or less where a control group limits it
// (`memory.max` of cgroup v2, `memory/memory.limit_in_bytes` of v1). 0: not known.
int64_t MemoryBytes(const std::filesystem::path& meminfo = "/proc/meminfo",
                    const std::filesystem::path& cgroup = "/sys/fs/cgroup");

}  // namespace floe::runner
