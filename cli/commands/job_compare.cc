// floe jobs compare
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/submit.h"
#include "cli/door/job_watch.h"
#include "cli/output/human.h"
#include "cli/output/job_view.h"
#include "cli/output/loss_curve.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = jobs::v1;
using Json = nlohmann::ordered_json;

constexpr int kCurveRows = 14;

struct CompareFlags {
  std::string a;
  std::string b;
};

// A job and what its rows say about it.
struct Run {
  pb::Job job;
  LossHistory losses;
  std::map<std::string, std::string> settings;  // `train.steps`: "600"
  std::optional<double> tokens;
  std::optional<double> tokens_per_second;  // median over its reports
  std::optional<double> gflops;             // likewise
  std::optional<double> gemm_peak_share;    // likewise
  std::optional<double> peak_memory_bytes;
  std::optional<double> seconds;  // from its first start; up to now while it has not ended
};

void Flatten(const std::string& path, const Json& json, std::map<std::string, std::string>& out) {
  if (!json.is_object()) {
    out[path] = json.is_string() ? json.get<std::string>() : json.dump();
    return;
  }
  for (const auto& [key, value] : json.items()) {
    Flatten(path.empty() ? key : absl::StrCat(path, ".", key), value, out);
  }
}

std::optional<double> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

absl::StatusOr<Run> Read(Session& session, const std::string& id) {
  FLOE_ASSIGN_OR_RETURN(const std::string service, ServiceOfJob(id));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetJobRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("jobs", id));
  Run run;
  FLOE_ASSIGN_OR_RETURN(run.job,
                        door->Ask(door->jobs(), &pb::JobService::Stub::GetJob, request, service));
  Flatten("", ToJson(run.job)["spec"], run.settings);
  FLOE_ASSIGN_OR_RETURN(const auto rows, JobMetricsOf(*door, run.job.name()));
  std::vector<double> speeds, gflops, shares;
  for (const pb::JobMetrics& row : rows) {
    run.losses.Add(row.step(), row.metrics());
    const auto take = [&](const char* name, auto use) {
      const auto found = row.metrics().find(name);
      if (found != row.metrics().end() && std::isfinite(found->second)) use(found->second);
    };
    take("tokens", [&](double v) { run.tokens = v; });
    take("tokens_per_second", [&](double v) { speeds.push_back(v); });
    take("gflops", [&](double v) { gflops.push_back(v); });
    take("gemm_peak_share", [&](double v) { shares.push_back(v); });
    take("peak_memory_bytes",
         [&](double v) { run.peak_memory_bytes = std::max(run.peak_memory_bytes.value_or(0), v); });
  }
  run.tokens_per_second = Median(std::move(speeds));
  run.gflops = Median(std::move(gflops));
  run.gemm_peak_share = Median(std::move(shares));
  if (run.job.has_start_time()) {
    const absl::Time end = run.job.has_end_time() ? TimeOf(run.job.end_time()) : absl::Now();
    run.seconds = absl::ToDoubleSeconds(end - TimeOf(run.job.start_time()));
  }
  return run;
}

const std::pair<double, double>* Best(const Points& points) {
  const std::pair<double, double>* best = nullptr;
  for (const auto& point : points) {
    if (std::isfinite(point.second) && (best == nullptr || point.second < best->second)) {
      best = &point;
    }
  }
  return best;
}

std::string LastCell(const Points& points) {
  return points.empty() ? "-" : absl::StrFormat("%.4f", points.back().second);
}

std::string BestCell(const Points& points) {
  const auto* best = Best(points);
  if (best == nullptr) return "-";
  return absl::StrFormat("%.4f at step %s", best->second,
                         HumanCount(static_cast<int64_t>(best->first)));
}

template <typename Show>
std::string Cell(const std::optional<double>& value, Show show) {
  return value ? show(*value) : "-";
}

// Settings that one of them has otherwise, or alone.
std::vector<std::array<std::string, 3>> Differences(const Run& a, const Run& b) {
  std::map<std::string, std::array<std::string, 3>> differences;
  for (const auto& [key, value] : a.settings) {
    const auto other = b.settings.find(key);
    if (other != b.settings.end() && other->second == value) continue;
    differences[key] = {key, value, other == b.settings.end() ? "-" : other->second};
  }
  for (const auto& [key, value] : b.settings) {
    if (!a.settings.contains(key)) differences[key] = {key, "-", value};
  }
  std::vector<std::array<std::string, 3>> rows;
  for (auto& [key, row] : differences) rows.push_back(std::move(row));
  return rows;
}

void AddResults(Table& table, const Run& a, const Run& b) {
  const auto add = [&](const char* what, auto cell) { table.Add({what, cell(a), cell(b)}); };
  add("state", [](const Run& run) { return std::string(JobStateName(run.job.state())); });
  add("steps", [](const Run& run) {
    return absl::StrCat(HumanCount(run.job.progress().step()), " of ",
                        HumanCount(run.job.progress().steps()));
  });
  add("tokens", [](const Run& run) {
    return Cell(run.tokens, [](double v) { return HumanCount(static_cast<int64_t>(v)); });
  });
  add("loss, last", [](const Run& run) { return LastCell(run.losses.training()); });
  add("loss, best", [](const Run& run) { return BestCell(run.losses.training()); });
  add("held-out loss, last", [](const Run& run) { return LastCell(run.losses.held_out()); });
  add("held-out loss, best", [](const Run& run) { return BestCell(run.losses.held_out()); });
  add("time", [](const Run& run) {
    return Cell(run.seconds, [](double v) { return HumanDuration(absl::Seconds(v)); });
  });
  add("tokens/s, median",
      [](const Run& run) { return Cell(run.tokens_per_second, HumanQuantity); });
  add("GFLOP/s, median", [](const Run& run) {
    return Cell(run.gflops, [](double v) { return absl::StrFormat("%.1f", v); });
  });
  add("of GEMM peak, median", [](const Run& run) {
    return Cell(run.gemm_peak_share, [](double v) { return absl::StrFormat("%.0f%%", 100 * v); });
  });
  add("memory, most", [](const Run& run) {
    return Cell(run.peak_memory_bytes,
                [](double v) { return HumanBytes(static_cast<int64_t>(v)); });
  });
}

Json PointsJson(const Points& points) {
  Json json = Json::array();
  for (const auto& [step, loss] : points) json.push_back({static_cast<int64_t>(step), loss});
  return json;
}

Json RunJson(const Run& run) {
  const auto number = [](const std::optional<double>& value) -> Json {
    return value ? Json(*value) : Json(nullptr);
  };
  const auto losses = [](const Points& points) {
    Json json = {{"last", nullptr}, {"best", nullptr}, {"best_step", nullptr}};
    if (!points.empty()) json["last"] = points.back().second;
    if (const auto* best = Best(points)) {
      json["best"] = best->second;
      json["best_step"] = static_cast<int64_t>(best->first);
    }
    json["curve"] = PointsJson(points);
    return json;
  };
  return {{"name", run.job.name()},
          {"state", std::string(JobStateName(run.job.state()))},
          {"step", run.job.progress().step()},
          {"tokens", number(run.tokens)},
          {"seconds", number(run.seconds)},
          {"tokens_per_second", number(run.tokens_per_second)},
          {"gflops", number(run.gflops)},
          {"gemm_peak_share", number(run.gemm_peak_share)},
          {"peak_memory_bytes", number(run.peak_memory_bytes)},
          {"loss", losses(run.losses.training())},
          {"held_out_loss", losses(run.losses.held_out())}};
}

// The held-out losses of both when both have a curve of them, else what was trained on.
void Draw(Session& session, const Run& a, const Run& b) {
  const bool held_out = a.losses.held_out().size() > 1 && b.losses.held_out().size() > 1;
  const auto points = [&](const Run& run) {
    return held_out ? run.losses.held_out() : run.losses.training();
  };
  const int width = session.streams.out_is_terminal ? std::min(session.streams.width, 100) : 100;
  const auto lines =
      DrawCurves({{LastId(a.job.name()), "", points(a)}, {LastId(b.job.name()), "o", points(b)}},
                 width, kCurveRows);
  if (lines.empty()) return;
  session.out() << "\n" << (held_out ? "held-out loss" : "loss") << " by step\n";
  for (const std::string& line : lines) session.out() << line << "\n";
}

absl::Status Compare(Session& session, const CompareFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const Run a, Read(session, flags.a));
  FLOE_ASSIGN_OR_RETURN(const Run b, Read(session, flags.b));
  const auto differences = Differences(a, b);
  if (session.json) {
    Json json = {{"a", RunJson(a)}, {"b", RunJson(b)}, {"settings", Json::array()}};
    for (const auto& [key, of_a, of_b] : differences) {
      json["settings"].push_back({{"key", key}, {"a", of_a}, {"b", of_b}});
    }
    session.PrintJson(json);
    return absl::OkStatus();
  }
  Table table({"", LastId(a.job.name()), LastId(b.job.name())});
  for (const auto& [key, of_a, of_b] : differences) table.Add({key, of_a, of_b});
  AddResults(table, a, b);
  session.out() << table.Render();
  if (differences.empty()) session.out() << "Their settings are the same.\n";
  Draw(session, a, b);
  return absl::OkStatus();
}

}  // namespace

void AddJobCompareCommand(CLI::App& group, CommandLine& line) {
  auto& flags = line.Keep<CompareFlags>();
  CLI::App* command = AddCommand(
      group, "compare", "Two jobs side by side: settings that differ, losses, time, throughput",
      "  floe jobs compare trainer-01j9… trainer-01ja…\n"
      "  floe jobs compare trainer-01j9… trainer-01ja… --json | jq .b.held_out_loss.best\n\n"
      "Draws both curves in one plot: the held-out losses when both jobs have them. Works while\n"
      "the jobs run.");
  command->add_option("a", flags.a, "The first job's id")->required();
  command->add_option("b", flags.b, "The other job's id")->required();
  line.OnRun(command, [&flags](Session& session) { return Compare(session, flags); });
}

}  // namespace floe::cli
