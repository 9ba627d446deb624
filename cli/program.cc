#include "cli/program.h"

#include <algorithm>
#include <ostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/bill/bill_commands.h"
#include "cli/commands/commands.h"
#include "cli/output/exit_code.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "services/runtime/status.h"

namespace floe::cli {
namespace {

constexpr char kFooter[] =
    "A first round:\n"
    "  floe up                                        start everything on this machine\n"
    "  floe data import corpus.txt --name corpus      text to train on\n"
    "  floe tokenizer train --name words --dataset corpus --vocab-size 4096 --watch\n"
    "  floe plan --preset qwen3-0.6b                  where the parameters of a model are\n"
    "  floe train job.yaml --watch                    pre-train\n"
    "  floe models promote MODEL@1                    point `production` at version 1\n"
    "  floe chat MODEL                                talk to it\n\n"
    "The fleet is found by --door and --key-file, FLOE_DOOR, FLOE_HTTP, FLOE_CA, FLOE_KEY or\n"
    "FLOE_KEY_FILE, else by .floe/fleet.json here or in a folder above.\n\n";

void AddGlobalOptions(CLI::App& app, Session& session) {
  AddressFlags& address = session.address_flags;
  const char* group = "Everywhere";
  app.add_flag("--json", session.json, "JSON for programs instead of tables")->group(group);
  app.add_option("--dir", address.dir, "The fleet's folder on this machine [the nearest .floe]")
      ->group(group);
  app.add_option("--door", address.door, "The gateway's door, host:port")->group(group);
  app.add_option("--http", address.http, "The gateway's HTTP, http://host:port")->group(group);
  app.add_option("--ca", address.ca, "PEM file of the authority behind the door's certificate")
      ->group(group);
  app.add_option("--key-file", address.key_file, "File with the API key")->group(group);
  app.add_flag("--insecure", address.insecure, "A door without TLS; on the loopback address only")
      ->group(group);
}

void PrintError(Session& session, const absl::Status& status) {
  const auto reason = ReasonOf(status);
  const std::string code(runtime::CodeName(status.code()));
  if (session.json) {
    nlohmann::ordered_json error = {{"code", code},
                                    {"reason", reason ? reason->reason : code},
                                    {"message", std::string(status.message())}};
    if (reason) error["metadata"] = reason->metadata;
    session.err() << nlohmann::ordered_json{{"error", error}}.dump() << "\n";
    return;
  }
  session.err() << "floe: " << std::string(status.message());
  if (reason && !reason->reason.empty() && reason->reason != code) {
    session.err() << " (" << reason->reason << ")";
  }
  session.err() << "\n";
}

// The command that was being written, for the hint under a usage error.
std::string CommandWritten(const CLI::App& app) {
  std::string path = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    absl::StrAppend(&path, " ", at->get_name());
  }
  return path;
}

}  // namespace

int RunProgram(const std::vector<std::string>& words, const Streams& streams,
               const Environment& environment, const std::filesystem::path& folder) {
  CLI::App app("Floe: the whole life of a language model, from dials to answers", "floe");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "floe " FLOE_VERSION);
  app.footer(absl::StrCat(kFooter, ExitCodeHelp()));
  Session session(streams, environment, folder);
  AddGlobalOptions(app, session);
  CommandLine line(app);
  AddFleetCommands(line);
  AddPlanCommand(line);
  AddDataCommands(line);
  AddTokenizerCommands(line);
  AddTrainCommand(line);
  AddJobCommands(line);
  AddModelCommands(line);
  AddEvalCommands(line);
  AddChatCommand(line);
  AddKeyCommands(line);
  AddDocsCommands(line);
  AddBillCommands(line);
  AddCompletionCommand(line);
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants them
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, session.out(), session.err());
    session.json = session.json || std::find(words.begin(), words.end(), "--json") != words.end();
    PrintError(session, absl::InvalidArgumentError(error.what()));
    if (!session.json) session.err() << "Try `" << CommandWritten(app) << " --help`.\n";
    return kUsage;
  }
  const absl::Status status = line.chosen()(session);
  session.out() << std::flush;
  if (!status.ok()) PrintError(session, status);
  return ExitCodeOf(status);
}

}  // namespace floe::cli
