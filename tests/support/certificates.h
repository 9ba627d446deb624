// A certificate authority of a test's own, and certificates of it.
#pragma once

#include <string>
#include <string_view>

#include "tests/support/temp_dir.h"

namespace floe::test {

// Made with the program `openssl`; certificates are good for a day, for 127.0.0.1 and localhost.
// From the test's main thread only (see ChildProcess). Failures abort the process.
class Certificates {
 public:
  Certificates();

  // PEM files; they live as long as this object.
  struct Files {
    std::string cert;
    std::string key;
    std::string ca;
  };
  Files Make(std::string_view name) const;

 private:
  void OpenSsl(const std::string& arguments) const;

  TempDir dir_;
};

}  // namespace floe::test
