#include "cli/commands/commands.h"

#include "absl/strings/str_cat.h"

namespace floe::cli {

CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& what) {
  CLI::App* group = app.add_subcommand(name, what);
  group->require_subcommand(1);
  return group;
}

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& what,
                     const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, what);
  if (!examples.empty()) command->footer(absl::StrCat("Examples:\n", examples));
  return command;
}

}  // namespace floe::cli
