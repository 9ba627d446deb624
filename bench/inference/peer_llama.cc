#include "bench/inference/peer_llama.h"

#include <stdio.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "bench/inference/workload.h"

namespace floe::bench {
namespace {

using Json = nlohmann::json;

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// The lines of its output that are JSON objects.
absl::StatusOr<std::vector<Json>> Run(const std::filesystem::path& program,
                                      const std::string& arguments) {
  const std::string command =
      absl::StrCat(ShellQuoted(program.string()), " ", arguments, " 2>/dev/null");
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::UnavailableError("cannot start a shell for the peer");
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  if (const int code = pclose(pipe); code != 0) {
    return absl::UnavailableError(absl::StrCat(command, " ended with ", code,
                                               "; give --peer a folder that holds llama-bench "
                                               "and llama-batched-bench"));
  }
  std::vector<Json> objects;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (object.is_object()) objects.push_back(std::move(object));
  }
  return objects;
}

}  // namespace

absl::StatusOr<PeerSpeeds> RunPeer(const std::filesystem::path& programs,
                                   const std::filesystem::path& gguf, int threads) {
  const std::string common = absl::StrCat("-m ", ShellQuoted(gguf.string()), " -t ", threads);
  PeerSpeeds speeds;
  FLOE_ASSIGN_OR_RETURN(
      const std::vector<Json> single,
      Run(programs / "llama-bench",
          absl::StrCat(common, " -o jsonl -r 1 -p ", kPrefillTokens, " -n ", kDecodeSteps)));
  for (const Json& row : single) {
    const double speed = row.value("avg_ts", 0.0);
    (row.value("n_gen", 0) > 0 ? speeds.decode : speeds.prefill) = speed;
    speeds.name = absl::StrCat("llama.cpp ", row.value("build_commit", "of unknown build"));
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<Json> together,
                        Run(programs / "llama-batched-bench",
                            absl::StrCat(common, " -c ", kBatch * (kBatchPrompt + kDecodeSteps),
                                         " -npp ", kBatchPrompt, " -ntg ", kDecodeSteps, " -npl ",
                                         kBatch, " --output-format jsonl")));
  for (const Json& row : together) speeds.batch = row.value("speed_tg", 0.0);
  if (std::min({speeds.prefill, speeds.decode, speeds.batch}) > 0) return speeds;
  return absl::UnavailableError("the peer's output does not hold the speeds that are looked for");
}

}  // namespace floe::bench
