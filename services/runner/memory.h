// The memory that this process may take, and what it gives back.
#pragma once

#include <cstdint>
#include <filesystem>

namespace floe::runner {

// In bytes: the machine's (`MemTotal` of proc(5)), or less where a control group limits it
// (`memory.max` of cgroup v2, `memory/memory.limit_in_bytes` of v1). 0: not known.
int64_t MemoryBytes(const std::filesystem::path& meminfo = "/proc/meminfo",
                    const std::filesystem::path& cgroup = "/sys/fs/cgroup");

// Gives the system what this process has freed, from anywhere in its heap. Training keeps it while
// a job runs (trainer/compute.h); between jobs others may want it. Thread-safe.
void GiveBackFreeMemory();

}  // namespace floe::runner
