// The commands of `floe`, one function a group: each adds its commands to the program.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cli/door/session.h"
#include <CLI/App.hpp>

namespace floe::cli {

using Action = std::function<absl::Status(Session&)>;

// Collects what parsing chooses: the action of the command that was written.
class CommandLine {
 public:
  explicit CommandLine(CLI::App& app) : app_(app) {}

  CLI::App& app() { return app_; }

  // Options that a command's flags are bound to; they live as long as this object.
  template <typename Options>
  Options& Keep() {
    // The type is forgotten, the deleter is not: what shared_ptr<void> is for.
    auto options = std::make_shared<Options>();
    kept_.push_back(options);
    return *options;
  }

  void OnRun(CLI::App* command, Action action) {
    command->callback([this, action = std::move(action)] { chosen_ = action; });
  }

  const Action& chosen() const { return chosen_; }

 private:
  CLI::App& app_;
  std::vector<std::shared_ptr<void>> kept_;
  Action chosen_;
};

// A group of commands, `floe models …`: one of them must be written.
CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& what);
// A command with examples under its help.
CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& what,
                     const std::string& examples);

void AddFleetCommands(CommandLine& line);
void AddPlanCommand(CommandLine& line);
void AddDataCommands(CommandLine& line);
void AddTokenizerCommands(CommandLine& line);
// import and export, in the group `tokenizer`.
void AddTokenizerFileCommands(CLI::App& group, CommandLine& line);
void AddTrainCommand(CommandLine& line);
void AddJobCommands(CommandLine& line);
// compare, in the group `jobs`.
void AddJobCompareCommand(CLI::App& group, CommandLine& line);
void AddModelCommands(CommandLine& line);
// In the group `models`: promote, rollback and gate; export and import; inspect.
void AddPromotionCommands(CLI::App& models, CommandLine& line);
void AddModelFileCommands(CLI::App& models, CommandLine& line);
// quantize, in the group `models`.
void AddQuantizeCommand(CLI::App& models, CommandLine& line);
void AddInspectCommand(CLI::App& models, CommandLine& line);
void AddEvalCommands(CommandLine& line);
void AddChatCommand(CommandLine& line);
void AddKeyCommands(CommandLine& line);
void AddDocsCommands(CommandLine& line);
void AddCompletionCommand(CommandLine& line);

}  // namespace floe::cli
