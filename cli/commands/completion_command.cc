// floe completion: the program's own commands and options as a shell's completion script.
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"

namespace floe::cli {
namespace {

// What may follow each command: "" -> up, down, …; "models show" -> --json, ….
void Collect(const CLI::App& app, const std::string& path, const std::vector<std::string>& above,
             std::map<std::string, std::vector<std::string>>& words) {
  std::vector<std::string>& here = words[path];
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_group().empty()) here.push_back(command->get_name());
  }
  std::vector<std::string> options = above;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  here.insert(here.end(), options.begin(), options.end());
  if (path.empty()) std::erase(options, "--help");
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_group().empty()) continue;
    Collect(*command, absl::StrCat(path, path.empty() ? "" : " ", command->get_name()),
            path.empty() ? options : above, words);
  }
}

constexpr char kBashHead[] =
    "# bash completion for floe; put into ~/.bashrc: source <(floe completion bash)\n"
    "_floe() {\n"
    "  local current=\"${COMP_WORDS[COMP_CWORD]}\" path='' word\n"
    "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
    "    case \"$word\" in -*) ;; *) _floe_words \"${path:+$path }$word\" >/dev/null &&\n"
    "      path=\"${path:+$path }$word\" ;; esac\n"
    "  done\n"
    "  COMPREPLY=($(compgen -W \"$(_floe_words \"$path\")\" -- \"$current\"))\n"
    "  # Nothing of ours fits: a file, perhaps.\n"
    "  [ \"${#COMPREPLY[@]}\" -gt 0 ] || COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "}\n"
    "complete -F _floe floe\n";

constexpr char kZshHead[] =
    "#compdef floe\n"
    "# zsh completion for floe; put into ~/.zshrc: source <(floe completion zsh)\n"
    "_floe() {\n"
    "  local path='' word\n"
    "  for word in ${words[2,CURRENT-1]}; do\n"
    "    case \"$word\" in -*) ;; *) _floe_words \"${path:+$path }$word\" >/dev/null &&\n"
    "      path=\"${path:+$path }$word\" ;; esac\n"
    "  done\n"
    "  compadd -- ${=\"$(_floe_words \"$path\")\"} || _files\n"
    "}\n"
    "compdef _floe floe\n";

std::string Script(const CLI::App& app, const std::string& shell) {
  std::map<std::string, std::vector<std::string>> words;
  Collect(app, "", {}, words);
  std::string script =
      "# What may follow the commands in $1; fails when there is no such command.\n"
      "_floe_words() {\n  case \"$1\" in\n";
  for (const auto& [path, list] : words) {
    absl::StrAppend(&script, "    '", path, "') echo '", absl::StrJoin(list, " "), "' ;;\n");
  }
  absl::StrAppend(&script, "    *) return 1 ;;\n  esac\n}\n");
  // zsh wants its first line first.
  return shell == "zsh" ? kZshHead + script : script + kBashHead;
}

}  // namespace

void AddCompletionCommand(CommandLine& line) {
  struct CompletionFlags {
    std::string shell;
  };
  auto& flags = line.Keep<CompletionFlags>();
  CLI::App* command =
      AddCommand(line.app(), "completion", "Print a completion script for your shell",
                 "  source <(floe completion bash)\n  source <(floe completion zsh)");
  command->add_option("shell", flags.shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  line.OnRun(command, [&flags, &app = line.app()](Session& session) {
    session.out() << Script(app, flags.shell);
    return absl::OkStatus();
  });
}

}  // namespace floe::cli
