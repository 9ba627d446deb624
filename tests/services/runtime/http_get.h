// One HTTP request to a loopback port, as plain as can be.
#pragma once

#include <string>

namespace floe::runtime {

struct HttpAnswer {
  int status = 0;  // 0: no connection
  std::string body;
};
HttpAnswer HttpGet(int port, const std::string& path);

}  // namespace floe::runtime
