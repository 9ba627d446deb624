// Configuration of a binary: flags, then environment, then a file, then the defaults in the struct.
//
// An option `side-listen` is the flag --side-listen, the variable FLOE_SIDE_LISTEN, and the key
// `side-listen` (or `side_listen`) of the file given by --config (YAML when it ends in .yaml or
// .yml, else INI). An unknown flag or key fails. `--check-config` validates, prints the effective
// configuration and exits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "services/runtime/options.h"

namespace floe::runtime {

// Borrows the variables that are added, which must outlive it. Not thread-safe.
class Config {
 public:
  Config(std::string program, std::string description);
  ~Config();

  // The variable's present value is the default.
  void Add(std::string_view name, std::string& value, std::string_view what);
  void Add(std::string_view name, int& value, std::string_view what);
  void Add(std::string_view name, int64_t& value, std::string_view what);
  void Add(std::string_view name, double& value, std::string_view what);
  void Add(std::string_view name, bool& value, std::string_view what);
  void Add(std::string_view name, absl::Duration& value, std::string_view what);  // `250ms`, `20s`
  void Add(std::string_view name, std::vector<std::string>& value, std::string_view what);
  // Never a flag: FLOE_<NAME>, or the content of the file named by --<name>-file (trailing newline
  // dropped). Shown as ***.
  void AddSecret(std::string_view name, std::string& value, std::string_view what);

  void AddCommon(CommonOptions& options);

  // Called after all values are set, also by --check-config; its message is shown to the person.
  void AddCheck(std::function<absl::Status()> check);

  // Nothing: go on. Otherwise the program's exit code: 0 after --help and --check-config (printed
  // to stdout), 2 after a mistake (explained on stderr).
  std::optional<int> Parse(int argc, const char* const* argv);

  // name -> value, secrets masked: what the service logs when it starts.
  std::vector<std::pair<std::string, std::string>> Effective() const;

  const std::string& program() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace floe::runtime
