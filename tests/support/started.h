// Programs that write a ports file once they serve.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/child_process.h"

namespace floe::test {

// Starts a program and waits until it serves: its gRPC port. The test dies, with what the program
// said, when it ends instead.
int StartServing(const ChildProcess::Options& options, const std::filesystem::path& ports,
                 ChildProcess& process);

std::string AddressOf(int port);

}  // namespace floe::test
