#include "jobs/postgres/event_json.h"

#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::jobs {
namespace {

using nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

json NumberToJson(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::optional<double> NumberFromJson(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value == "Infinity") return kInfinity;
  if (value == "-Infinity") return -kInfinity;
  return std::nullopt;
}

json MetricsObject(const std::map<std::string, double>& metrics) {
  json object = json::object();
  for (const auto& [name, value] : metrics) object[name] = NumberToJson(value);
  return object;
}

json ProgressObject(const Progress& progress) {
  json object = {{"step", progress.step},
                 {"steps", progress.steps},
                 {"metrics", MetricsObject(progress.metrics)}};
  if (!progress.device.empty()) object["device"] = progress.device;
  if (progress.remaining != absl::InfiniteDuration()) {
    object["remaining_ms"] = absl::ToInt64Milliseconds(progress.remaining);
  }
  return object;
}

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the stored event is not what this program writes: ", AbslView(what)));
}

absl::StatusOr<std::map<std::string, double>> ReadMetricsObject(const json& object) {
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : object.items()) {
    const std::optional<double> number = NumberFromJson(value);
    if (!number) return Damaged(absl::StrCat("metric ", name, " is no number"));
    metrics[name] = *number;
  }
  return metrics;
}

absl::StatusOr<Progress> ReadProgress(const json& object) {
  Progress progress;
  progress.step = object.at("step").get<int64_t>();
  progress.steps = object.at("steps").get<int64_t>();
  FLOE_ASSIGN_OR_RETURN(progress.metrics, ReadMetricsObject(object.at("metrics")));
  if (object.contains("remaining_ms")) {
    progress.remaining = absl::Milliseconds(object["remaining_ms"].get<int64_t>());
  }
  if (object.contains("device")) progress.device = object["device"].get<std::string>();
  return progress;
}

absl::StatusOr<std::variant<Progress, LogLine, State>> ReadWhat(const json& object) {
  if (object.contains("progress")) return ReadProgress(object["progress"]);
  if (object.contains("log")) {
    const json& log = object["log"];
    return LogLine{log.at("level").get<std::string>(), log.at("text").get<std::string>()};
  }
  const auto state = StateFromName(object.at("state").get<std::string>());
  if (!state) return Damaged("a state that is not known");
  return *state;
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string ProgressToJson(const Progress& progress) { return Dump(ProgressObject(progress)); }

absl::StatusOr<Progress> ProgressFromJson(std::string_view text) {
  try {
    return ReadProgress(json::parse(text));
  } catch (const json::exception& error) {
    return Damaged(error.what());
  }
}

std::string MetricsToJson(const std::map<std::string, double>& metrics) {
  return Dump(MetricsObject(metrics));
}

absl::StatusOr<std::map<std::string, double>> MetricsFromJson(std::string_view text) {
  try {
    return ReadMetricsObject(json::parse(text));
  } catch (const json::exception& error) {
    return Damaged(error.what());
  }
}

std::string WhatToJson(const std::variant<Progress, LogLine, State>& what) {
  if (const auto* progress = std::get_if<Progress>(&what)) {
    return Dump({{"progress", ProgressObject(*progress)}});
  }
  if (const auto* log = std::get_if<LogLine>(&what)) {
    return Dump({{"log", {{"level", log->level}, {"text", log->text}}}});
  }
  return Dump({{"state", std::string(StateName(std::get<State>(what)))}});
}

absl::StatusOr<std::variant<Progress, LogLine, State>> WhatFromJson(std::string_view text) {
  try {
    return ReadWhat(json::parse(text));
  } catch (const json::exception& error) {
    return Damaged(error.what());
  }
}

}  // namespace floe::jobs
