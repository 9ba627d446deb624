// Events with fields, one JSON object a line on stderr: {"ts", "level", "service", "msg", fields…}.
// Never a prompt, an answer or a key.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace floe::runtime {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text);

// A field of an event. Views live as long as the call.
struct LogField {
  LogField(std::string_view key, std::string_view value) : key(key), value(value) {}
  LogField(std::string_view key, const std::string& value)
      : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, const char* value) : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, bool value) : key(key), value(value) {}
  LogField(std::string_view key, int value) : key(key), value(int64_t{value}) {}
  LogField(std::string_view key, int64_t value) : key(key), value(value) {}
  LogField(std::string_view key, uint64_t value) : key(key), value(static_cast<int64_t>(value)) {}
  LogField(std::string_view key, double value) : key(key), value(value) {}

  std::string_view key;
  std::variant<std::string_view, int64_t, double, bool> value;
};

// Thread-safe. Copies are cheap and write to the same place.
class Logger {
 public:
  // `write` receives each finished line without its newline; by default stderr. Called by one
  // thread at a time.
  Logger(std::string service, LogLevel least,
         std::function<void(std::string_view line)> write = nullptr);

  using Fields = std::initializer_list<LogField>;
  void Debug(std::string_view message, Fields fields = {}) const;
  void Info(std::string_view message, Fields fields = {}) const;
  void Warning(std::string_view message, Fields fields = {}) const;
  void Error(std::string_view message, Fields fields = {}) const;
  void Log(LogLevel level, std::string_view message, Fields fields) const;

  // A line that is a JSON object already, of a stream of its own beside the events (audit records);
  // whatever the level is.
  void Write(std::string_view line) const;

  // A logger whose events carry the two ids of a request.
  Logger For(std::string_view trace_id, std::string_view request_id) const;

 private:
  struct Sink;
  std::string service_;
  std::string trace_id_;
  std::string request_id_;
  std::shared_ptr<Sink> sink_;  // shared by the copies
};

}  // namespace floe::runtime
