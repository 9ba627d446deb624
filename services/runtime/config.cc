#include "services/runtime/config.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include <CLI/CLI.hpp>
#include <yaml-cpp/yaml.h>

#include "base/files.h"
#include "base/view.h"

namespace floe::runtime {
namespace {

std::string EnvironmentName(std::string_view option) {
  return absl::StrCat("FLOE_",
                      absl::AsciiStrToUpper(absl::StrReplaceAll(AbslView(option), {{"-", "_"}})));
}

std::string Flag(std::string_view option) { return absl::StrCat("--", AbslView(option)); }

std::string Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::string() : std::string(value);
}

std::string Joined(const std::string& prefix, const std::string& key) {
  return prefix.empty() ? key : absl::StrCat(prefix, "-", key);
}

// `tls: {cert: a}` is the key `tls-cert`.
void Flatten(const YAML::Node& node, const std::string& prefix,
             std::vector<CLI::ConfigItem>& items) {
  CLI::ConfigItem item;
  item.name = prefix;
  if (node.IsMap()) {
    for (const auto& entry : node) {
      Flatten(entry.second, Joined(prefix, entry.first.as<std::string>()), items);
    }
    return;
  }
  if (node.IsSequence()) {
    for (const auto& element : node) item.inputs.push_back(element.as<std::string>());
  } else {
    item.inputs.push_back(node.IsNull() ? std::string() : node.as<std::string>());
  }
  items.push_back(std::move(item));
}

// The file's keys as CLI11 wants them: YAML or INI; those that the environment decides are left
// out, since CLI11 by itself lets the file win.
class ConfigFile final : public CLI::ConfigBase {
 public:
  explicit ConfigFile(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    const std::string path = app_.get_config_ptr()->as<std::string>();
    const bool yaml = absl::EndsWith(path, ".yaml") || absl::EndsWith(path, ".yml");
    std::vector<CLI::ConfigItem> all = yaml ? FromYaml(in, path) : ConfigBase::from_config(in);
    std::vector<CLI::ConfigItem> items;
    std::set<std::string> seen;
    for (CLI::ConfigItem& item : all) {
      // CLI11 marks the begin and end of an INI section so.
      if (item.name == "++" || item.name == "--") continue;
      item.name = absl::StrReplaceAll(item.name, {{"_", "-"}});
      for (auto parent = item.parents.rbegin(); parent != item.parents.rend(); ++parent) {
        item.name = Joined(*parent, item.name);
      }
      item.parents.clear();
      const CLI::Option* option = app_.get_option_no_throw("--" + item.name);
      if (option == nullptr || !option->get_configurable()) {
        throw CLI::ValidationError(path,
                                   absl::StrCat("unknown key '", item.name,
                                                "'; --help lists the options; secrets come from"
                                                " FLOE_* variables or --*-file"));
      }
      if (!seen.insert(item.name).second) {
        throw CLI::ValidationError(path, absl::StrCat("the key '", item.name, "' is given twice"));
      }
      if (Environment(option->get_envname()).empty()) items.push_back(std::move(item));
    }
    return items;
  }

 private:
  static std::vector<CLI::ConfigItem> FromYaml(std::istream& in, const std::string& path) {
    std::vector<CLI::ConfigItem> items;
    try {
      const YAML::Node root = YAML::Load(in);
      if (root.IsNull()) return items;
      if (!root.IsMap()) throw CLI::ValidationError(path, "expected `option: value` lines");
      Flatten(root, "", items);
    } catch (const YAML::Exception& error) {
      throw CLI::ValidationError(path, error.what());
    }
    return items;
  }

  const CLI::App& app_;
};

}  // namespace

struct Config::State {
  struct Shown {
    std::string name;
    std::function<std::string()> show;
  };
  struct Secret {
    std::string name;
    std::string* value;
    std::string file;  // --<name>-file
  };

  State(std::string program, std::string description)
      : program(std::move(program)), app(std::move(description), this->program) {}

  CLI::Option* Register(std::string_view name, CLI::Option* option) {
    return option->envname(EnvironmentName(name));
  }
  void Show(std::string_view name, std::function<std::string()> show) {
    shown.push_back({std::string(name), std::move(show)});
  }
  absl::Status ReadSecrets();

  std::string program;
  CLI::App app;
  bool check_config = false;
  std::vector<Shown> shown;
  std::vector<std::unique_ptr<Secret>> secrets;  // stable addresses: CLI11 keeps pointers
  std::vector<std::function<absl::Status()>> checks;
};

Config::Config(std::string program, std::string description)
    : state_(std::make_unique<State>(std::move(program), std::move(description))) {
  CLI::App& app = state_->app;
  app.option_defaults()->always_capture_default();  // --help shows the defaults
  const std::string file = Environment("FLOE_CONFIG");
  app.set_config("--config", file, "Configuration file, YAML or INI (FLOE_CONFIG)", !file.empty())
      ->configurable(false);
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.add_flag("--check-config", state_->check_config,
               "Validate and print the effective configuration, then exit")
      ->configurable(false);
}

Config::~Config() = default;

const std::string& Config::program() const { return state_->program; }

void Config::Add(std::string_view name, std::string& value, std::string_view what) {
  state_->Register(name, state_->app.add_option(Flag(name), value, std::string(what)));
  state_->Show(name, [&value] { return value; });
}

void Config::Add(std::string_view name, int& value, std::string_view what) {
  state_->Register(name, state_->app.add_option(Flag(name), value, std::string(what)));
  state_->Show(name, [&value] { return absl::StrCat(value); });
}

void Config::Add(std::string_view name, int64_t& value, std::string_view what) {
  state_->Register(name, state_->app.add_option(Flag(name), value, std::string(what)));
  state_->Show(name, [&value] { return absl::StrCat(value); });
}

void Config::Add(std::string_view name, double& value, std::string_view what) {
  state_->Register(name, state_->app.add_option(Flag(name), value, std::string(what)));
  state_->Show(name, [&value] { return absl::StrCat(value); });
}

void Config::Add(std::string_view name, bool& value, std::string_view what) {
  state_->Register(name, state_->app.add_flag(Flag(name), value, std::string(what)));
  state_->Show(name, [&value] { return std::string(value ? "true" : "false"); });
}

void Config::Add(std::string_view name, absl::Duration& value, std::string_view what) {
  const auto set = [&value](const std::string& text) {
    if (!absl::ParseDuration(text, &value) || value < absl::ZeroDuration()) {
      throw CLI::ValidationError(
          absl::StrCat("'", text, "' is no duration such as 250ms, 20s or 5m"));
    }
  };
  state_->Register(name,
                   state_->app.add_option_function<std::string>(Flag(name), set, std::string(what))
                       ->default_str(absl::FormatDuration(value)));
  state_->Show(name, [&value] { return absl::FormatDuration(value); });
}

void Config::Add(std::string_view name, std::vector<std::string>& value, std::string_view what) {
  state_->Register(name, state_->app.add_option(Flag(name), value, std::string(what)))
      ->delimiter(',');
  state_->Show(name, [&value] { return absl::StrJoin(value, ","); });
}

void Config::AddSecret(std::string_view name, std::string& value, std::string_view what) {
  auto secret = std::make_unique<State::Secret>(State::Secret{std::string(name), &value, {}});
  const std::string file = absl::StrCat(AbslView(name), "-file");
  state_->Register(
      file, state_->app.add_option(Flag(file), secret->file,
                                   absl::StrCat("File with: ", AbslView(what), " (or the variable ",
                                                EnvironmentName(name), ")")));
  state_->Show(name, [&value] { return std::string(value.empty() ? "" : "***"); });
  state_->secrets.push_back(std::move(secret));
}

absl::Status Config::State::ReadSecrets() {
  for (const auto& secret : secrets) {
    const std::string variable = Environment(EnvironmentName(secret->name));
    if (!variable.empty()) {
      *secret->value = variable;
    } else if (!secret->file.empty()) {
      absl::StatusOr<std::string> bytes = ReadFile(secret->file, 1 << 16);
      if (!bytes.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", secret->name, "-file: ", bytes.status().message()));
      }
      *secret->value = std::string(absl::StripTrailingAsciiWhitespace(*bytes));
    }
  }
  return absl::OkStatus();
}

void Config::AddCommon(CommonOptions& options) {
  Add("listen", options.listen, "Address of the gRPC port; port 0: the system chooses");
  Add("side-listen", options.side_listen, "Address of /metrics, /healthz and /readyz");
  Add("ports-file", options.ports_file, "Write the chosen ports here as JSON once serving");
  Add("log-level", options.log_level, "debug, info, warning or error");
  Add("tls-cert", options.tls.cert, "PEM file: this process's certificate");
  Add("tls-key", options.tls.key, "PEM file: its key");
  Add("tls-ca", options.tls.ca, "PEM file: the authority that peers' certificates come from");
  Add("insecure", options.insecure, "No TLS; only on the loopback address, for tests");
  Add("drain-grace", options.drain_grace, "After SIGTERM, how long calls in flight may take");
  Add("max-threads", options.max_threads, "Bound on the gRPC server's threads");
  Add("migrate", options.migrate_only, "Bring the database up to date, then exit");
  AddCheck([&options]() -> absl::Status {
    if (options.max_threads < 4) {
      return absl::InvalidArgumentError("--max-threads must be at least 4");
    }
    if (options.log_level != "debug" && options.log_level != "info" &&
        options.log_level != "warning" && options.log_level != "error") {
      return absl::InvalidArgumentError(absl::StrCat("--log-level: '", options.log_level,
                                                     "' is none of debug, info, warning, error"));
    }
    return absl::OkStatus();
  });
}

void Config::AddCheck(std::function<absl::Status()> check) {
  state_->checks.push_back(std::move(check));
}

std::optional<int> Config::Parse(int argc, const char* const* argv) {
  const auto refuse = [&](std::string_view why) {
    std::cerr << state_->program << ": " << why << "\nTry " << state_->program << " --help\n";
    return 2;
  };
  try {
    state_->app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return state_->app.exit(error);  // --help
    return refuse(error.what());
  }
  absl::Status status = state_->ReadSecrets();
  for (const auto& check : state_->checks) status.Update(check());
  if (!status.ok()) return refuse(StdView(status.message()));
  if (!state_->check_config) return std::nullopt;
  for (const auto& [name, value] : Effective()) std::cout << name << " = " << value << "\n";
  return 0;
}

std::vector<std::pair<std::string, std::string>> Config::Effective() const {
  std::vector<std::pair<std::string, std::string>> effective;
  for (const auto& shown : state_->shown) effective.emplace_back(shown.name, shown.show());
  return effective;
}

}  // namespace floe::runtime
