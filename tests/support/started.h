// Programs that write a ports file once they serve.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/child_process.h"

namespace floe::gateway {

// Starts a program and waits until it serves: its gRPC port. The test dies, with what the program
// said, when it ends instead.
int StartServing(const test::ChildProcess::Options& options, const std::filesystem::path& ports,
                 test::ChildProcess& process);

std::string AddressOf(int port);

}  // namespace floe::gateway
