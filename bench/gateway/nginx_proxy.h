// nginx as a plain proxy in front of a stub that answers at once: what a program that does nothing
// but pass requests on reaches on this machine.
#pragma once

#include <memory>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

class NginxProxy {
 public:
  // Null where no nginx is installed (Debian's nginx-light). The stub answers `body` to everything.
  static std::unique_ptr<NginxProxy> Start(const std::string& body);

  int port() const { return port_; }

 private:
  NginxProxy() = default;

  test::TempDir dir_;
  int port_ = 0;
  test::ChildProcess server_;
};

}  // namespace floe::gateway
