#include "cli/commands/past_runs.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/output/human.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = jobs::v1;

constexpr absl::Duration kPatience = absl::Seconds(3);  // a plan does not wait for a fleet
constexpr int kLooked = 200;                            // jobs, the newest
constexpr size_t kTaken = 5;                            // runs

double MetricOr(const pb::Progress& progress, const char* name, double other) {
  const auto found = progress.metrics().find(name);
  return found == progress.metrics().end() ? other : found->second;
}

// Tokens a second over the whole run, out of the version that the job published; its last report
// where there is no version (yet).
double TokensPerSecond(Door& door, const pb::Job& job) {
  const double reported = MetricOr(job.progress(), "tokens_per_second", 0);
  if (job.result().empty()) return reported;
  registry::v1::GetModelVersionRequest request;
  request.set_name(job.result());
  const auto version =
      door.Ask(door.registry(), &registry::v1::RegistryService::Stub::GetModelVersion, request, {},
               kPatience);
  if (!version.ok()) return reported;
  const auto tokens = version->metrics().find("tokens");
  const auto seconds = version->metrics().find("training_seconds");
  if (tokens == version->metrics().end() || seconds == version->metrics().end() ||
      !(seconds->second > 0)) {
    return reported;
  }
  return tokens->second / seconds->second;
}

std::optional<PastRun> RunOf(Door& door, const pb::Job& job) {
  const double reported = MetricOr(job.progress(), "tokens_per_second", 0);
  const double gflops = MetricOr(job.progress(), "gflops", 0);
  if (!(reported > 0) || !(gflops > 0)) return std::nullopt;
  PastRun run;
  run.job = LastId(job.name());
  run.device = job.progress().device();
  run.tokens_per_second = TokensPerSecond(door, job);
  const double processes = std::max(1.0, MetricOr(job.progress(), "processes", 1));
  // The job's own operations a token.
  run.flops_per_second = run.tokens_per_second * (gflops * 1e9 / reported) / processes;
  if (!(run.flops_per_second > 0)) return std::nullopt;
  return run;
}

absl::StatusOr<std::vector<pb::Job>> NewestJobs(Session& session, Door*& door) {
  FLOE_ASSIGN_OR_RETURN(door, session.OpenDoor());
  pb::ListJobsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team(kPatience));
  request.set_page_size(kLooked);
  FLOE_ASSIGN_OR_RETURN(
      pb::ListJobsResponse page,
      door->Ask(door->jobs(), &pb::JobService::Stub::ListJobs, request, "trainer", kPatience));
  return std::vector<pb::Job>(page.jobs().begin(), page.jobs().end());
}

}  // namespace

Throughput PastThroughput(Session& session, const model::Hardware& hardware) {
  Throughput throughput;
  Door* door = nullptr;
  const auto jobs = NewestJobs(session, door);
  if (!jobs.ok()) {
    throughput.why = door == nullptr ? "no fleet to ask for past runs"
                                     : absl::StrCat("the fleet cannot be asked for past runs: ",
                                                    absl::StatusCodeToString(jobs.status().code()));
    return throughput;
  }
  int others = 0;
  for (const pb::Job& job : *jobs) {
    if (throughput.runs.size() == kTaken) break;
    if (job.kind() != "pretrain" || !job.has_progress()) continue;
    if (!hardware.Is(job.progress().device())) {
      ++others;
      continue;
    }
    if (auto run = RunOf(*door, job)) throughput.runs.push_back(*std::move(run));
  }
  if (throughput.runs.empty()) {
    throughput.why = others == 0
                         ? "the fleet has no past run to measure by"
                         : absl::StrCat("none of ", others, " past runs was on ", hardware.name);
  }
  return throughput;
}

}  // namespace floe::cli
