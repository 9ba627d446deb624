#include "tests/end_to_end/fleet_fixture.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

#include "base/files.h"

namespace floe::test {
namespace {

constexpr absl::Duration kCommandTimeout = absl::Minutes(5);

// build/<preset>/tests/this -> build/<preset>/bin/floe
std::filesystem::path Program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" /
         "floe";
}

// Every variable that would lead `floe` to another fleet.
const std::vector<std::string> kNoFleet = {
    "FLOE_DIR=", "FLOE_DOOR=",     "FLOE_HTTP=",    "FLOE_CA=",
    "FLOE_KEY=", "FLOE_KEY_FILE=", "FLOE_INSECURE="};

}  // namespace

FleetFixture::FleetFixture() : program_(Program()) {
  // `wait` returns when the signal of the test's death comes; then the fleet goes down.
  const std::string script = absl::StrCat("trap '", program_.string(), " down --dir ",
                                          fleet().string(), "; exit' TERM; sleep 3600 & wait");
  auto watcher = ChildProcess::Start(
      {.argv = {"/bin/sh", "-c", script}, .output = dir_ / "watcher.log", .death_signal = SIGTERM});
  EXPECT_TRUE(watcher.ok()) << watcher.status();
  if (watcher.ok()) watcher_ = *std::move(watcher);
}

FleetFixture::~FleetFixture() { Floe({"down"}); }

Said FleetFixture::Floe(const std::vector<std::string>& words,
                        const std::vector<std::string>& environment) {
  const std::filesystem::path out = dir_ / "out", err = dir_ / "err";
  ChildProcess::Options options;
  options.argv = {"/bin/sh", "-c",
                  absl::StrCat("cd ", dir_.path().string(), " && exec \"$0\" \"$@\" >",
                               out.string(), " 2>", err.string()),
                  program_};
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  options.environment = environment;
  for (const std::string& none : kNoFleet) {
    const std::string name = none.substr(0, none.find('=') + 1);
    bool given = false;
    for (const std::string& pair : environment) given = given || pair.starts_with(name);
    if (!given) options.environment.push_back(none);
  }
  options.output = dir_ / "shell.log";
  const auto code = ChildProcess::Run(options, kCommandTimeout);
  EXPECT_TRUE(code.ok()) << code.status();
  return {code.ok() ? *code : -1, ReadFile(out).value_or(""), ReadFile(err).value_or("")};
}

nlohmann::json FleetFixture::FloeJson(std::vector<std::string> words) {
  words.push_back("--json");
  const Said said = Floe(words);
  EXPECT_EQ(said.code, 0) << words[0] << ": " << said.err;
  const auto json = nlohmann::json::parse(said.out, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << words[0] << " printed no JSON: " << said.out;
  return said.code != 0 || json.is_discarded() ? nlohmann::json() : json;
}

cli::HttpRequest FleetFixture::RequestTo(const std::string& path,
                                         const nlohmann::json& body) const {
  const auto file = nlohmann::json::parse(ReadFile(fleet() / "fleet.json").value_or("{}"));
  const std::string key = ReadFile(fleet() / "admin.key").value_or("");
  return {.url = file.value("http", std::string()) + path,
          .headers = {"Content-Type: application/json",
                      absl::StrCat("Authorization: Bearer ", absl::StripSuffix(key, "\n"))},
          .body = body.dump(),
          .timeout = absl::Minutes(2)};
}

cli::HttpResponse FleetFixture::Post(const std::string& path, const nlohmann::json& body) {
  const auto answer = cli::SendHttp(RequestTo(path, body));
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.value_or(cli::HttpResponse{});
}

void FleetFixture::PostAndLeave(const std::string& path, const nlohmann::json& body) {
  cli::HttpRequest request = RequestTo(path, body);
  request.on_data = [](std::string_view) { return false; };
  EXPECT_TRUE(absl::IsCancelled(cli::SendHttp(request).status()));
}

bool FleetFixture::WaitUntilHealthy() {
  const absl::Time until = absl::Now() + absl::Minutes(1);
  while (absl::Now() < until) {
    if (Floe({"status"}).code == 0) return true;
  }
  return false;
}

}  // namespace floe::test
