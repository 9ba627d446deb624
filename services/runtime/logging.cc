#include "services/runtime/logging.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include <nlohmann/json.hpp>

#include "base/view.h"

namespace floe::runtime {
namespace {

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

}  // namespace

// Lines arrive whole: one thread at a time writes.
struct Logger::Sink {
  LogLevel least;
  std::mutex mutex;
  std::function<void(std::string_view)> write;  // guarded by mutex
};

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (LevelName(level) == text) return level;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log-level '", AbslView(text), "' is none of debug, info, warning, error"));
}

Logger::Logger(std::string service, LogLevel least, std::function<void(std::string_view)> write)
    : service_(std::move(service)), sink_(std::make_shared<Sink>()) {
  sink_->least = least;
  sink_->write = std::move(write);
  if (sink_->write == nullptr) {
    auto out = std::make_shared<spdlog::logger>(service_,
                                                std::make_shared<spdlog::sinks::stderr_sink_st>());
    out->set_pattern("%v");
    sink_->write = [out](std::string_view line) {
      out->log(spdlog::level::critical, spdlog::string_view_t(line.data(), line.size()));
      out->flush();
    };
  }
}

void Logger::Debug(std::string_view message, Fields fields) const {
  Log(LogLevel::kDebug, message, fields);
}
void Logger::Info(std::string_view message, Fields fields) const {
  Log(LogLevel::kInfo, message, fields);
}
void Logger::Warning(std::string_view message, Fields fields) const {
  Log(LogLevel::kWarning, message, fields);
}
void Logger::Error(std::string_view message, Fields fields) const {
  Log(LogLevel::kError, message, fields);
}

void Logger::Log(LogLevel level, std::string_view message, Fields fields) const {
  if (level < sink_->least) return;
  nlohmann::ordered_json line;
  line["ts"] = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
  line["level"] = LevelName(level);
  line["service"] = service_;
  line["msg"] = message;
  if (!trace_id_.empty()) line["trace_id"] = trace_id_;
  if (!request_id_.empty()) line["request_id"] = request_id_;
  for (const LogField& field : fields) {
    std::visit([&](const auto& value) { line[std::string(field.key)] = value; }, field.value);
  }
  // Foreign bytes that are no UTF-8 must not break the log.
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::lock_guard lock(sink_->mutex);
  sink_->write(text);
}

void Logger::Write(std::string_view line) const {
  std::lock_guard lock(sink_->mutex);
  sink_->write(line);
}

Logger Logger::For(std::string_view trace_id, std::string_view request_id) const {
  Logger logger = *this;
  logger.trace_id_ = trace_id;
  logger.request_id_ = request_id;
  return logger;
}

}  // namespace floe::runtime
