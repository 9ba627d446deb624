#include "tests/support/certificates.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/view.h"
#include "tests/support/child_process.h"

namespace floe::test {
namespace {

constexpr char kNewKey[] = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

}  // namespace

Certificates::Certificates() {
  dir_.Write("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  OpenSsl(
      absl::StrCat("req -x509 ", kNewKey, " -keyout ca.key -out ca.pem -subj /CN=test -days 1"));
}

Certificates::Files Certificates::Make(std::string_view name) const {
  const auto stem = AbslView(name);
  OpenSsl(absl::StrCat("req ", kNewKey, " -keyout ", stem, ".key -out ", stem,
                       ".csr -subj /CN=", stem));
  OpenSsl(absl::StrCat("x509 -req -in ", stem,
                       ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 1 -out ",
                       stem, ".pem"));
  return {dir_ / absl::StrCat(stem, ".pem"), dir_ / absl::StrCat(stem, ".key"), dir_ / "ca.pem"};
}

void Certificates::OpenSsl(const std::string& arguments) const {
  // `env -C` runs it in the folder.
  std::vector<std::string> argv = {"/usr/bin/env", "-C", dir_.path(), "openssl"};
  for (const auto word : absl::StrSplit(arguments, ' ')) argv.emplace_back(word);
  const auto code =
      ChildProcess::Run({.argv = argv, .output = dir_ / "openssl.log"}, absl::Minutes(1));
  if (code.ok() && *code == 0) return;
  std::fprintf(stderr, "`openssl %s` failed (see %s); is the package openssl installed?\n",
               arguments.c_str(), (dir_ / "openssl.log").c_str());
  std::abort();
}

}  // namespace floe::test
