#include "cli/fleet/probe.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/http/http_client.h"

namespace floe::cli {

Readiness ProbeReady(int side_port, absl::Duration timeout) {
  const auto answer = SendHttp(
      {.url = absl::StrCat("http://127.0.0.1:", side_port, "/readyz"), .timeout = timeout});
  if (!answer.ok()) return {};
  return {answer->status == 200, std::string(absl::StripAsciiWhitespace(answer->body))};
}

}  // namespace floe::cli
