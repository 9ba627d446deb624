// floe models inspect: what training made of random weights.
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/model_reference.h"
#include "cli/commands/submit.h"
#include "cli/door/job_watch.h"
#include "cli/output/exit_code.h"
#include "cli/output/human.h"
#include "cli/output/inspection_view.h"
#include "cli/output/job_view.h"
#include "cli/output/resource_json.h"

#include "base/status_macros.h"
#include "trainer/alignment/spec/inspect_spec.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;

// The job's result; its progress goes beside the output, which is the report alone.
absl::StatusOr<std::string> RunJob(Session& session, Door& door, const trainer::InspectSpec& spec) {
  FLOE_ASSIGN_OR_RETURN(const jobs::v1::Job submitted,
                        SubmitJob(session, {"alignment", std::string(trainer::kInspectJobKind),
                                            trainer::InspectSpecJson(spec)}));
  JobView view(session.err(), session.streams.err_is_terminal, session.streams.width,
               absl::Seconds(10));
  WatchOptions options;
  options.on_event = [&](const jobs::v1::JobEvent& event) { view.Show(event, absl::Now()); };
  const absl::StatusOr<jobs::v1::Job> job = WatchJob(door, submitted.name(), options);
  view.Finish();
  FLOE_RETURN_IF_ERROR(job.status());
  if (job->state() == jobs::v1::Job::SUCCEEDED) return job->result();
  return JobFailedError(
      absl::StrCat("job ", LastId(job->name()), " ", std::string(JobStateName(job->state())),
                   job->error().empty() ? "" : absl::StrCat(": ", job->error()),
                   "; `floe jobs logs ", LastId(job->name()), "` shows all it said"));
}

absl::Status Inspect(Session& session, trainer::InspectSpec spec) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, spec.model));
  spec.model = absl::StrCat("sha256:", version.digest());
  if (!spec.against.empty()) {
    FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion against, ResolveVersion(*door, spec.against));
    spec.against = absl::StrCat("sha256:", against.digest());
  }
  if (spec.dataset.empty()) spec.dataset = version.lineage().dataset();
  if (spec.dataset.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ShortVersion(version.name()),
                     " does not say what it was trained on; give a text with --dataset"));
  }
  FLOE_ASSIGN_OR_RETURN(const std::string name, RunJob(session, *door, spec));
  pb::GetEvaluationRequest request;
  request.set_name(name);
  FLOE_ASSIGN_OR_RETURN(
      const pb::Evaluation evaluation,
      door->Ask(door->registry(), &pb::RegistryService::Stub::GetEvaluation, request));
  if (session.json) {
    session.PrintJson(ToJson(evaluation));
    return absl::OkStatus();
  }
  FLOE_ASSIGN_OR_RETURN(const trainer::InspectionReport report,
                        trainer::ParseInspectionJson(evaluation.report()));
  session.out() << InspectionView(report) << "\nkept as " << evaluation.name() << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& models, CommandLine& line) {
  auto& spec = line.Keep<trainer::InspectSpec>();
  CLI::App* command = AddCommand(
      models, "inspect", "What training made of random weights: roles, layer by layer",
      "  floe models inspect hamlet                    beside fresh weights of the same dials\n"
      "  floe models inspect hamlet@3 --against hamlet@2 --dataset plays\n"
      "  floe models inspect hamlet --json | jq .report.after.layers\n\n"
      "Runs as a job: nearest neighbours of embeddings, how much each component writes, where\n"
      "heads look (previous token, induction, first token), and the loss when the head reads the\n"
      "stream behind each layer. The report is kept as an evaluation: `floe eval show`.");
  command->add_option("model", spec.model, kModelReference)->required();
  command->add_option("--against", spec.against,
                      "The version to compare with [fresh weights of the same dials]");
  command->add_option("--dataset", spec.dataset,
                      "The text to read: a dataset's id [what the model was trained on]");
  command->add_option("--tokens", spec.tokens, "How much of it")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--seed", spec.seed, "Of the fresh weights and the random probes")
      ->capture_default_str();
  line.OnRun(command, [&spec](Session& session) { return Inspect(session, spec); });
}

}  // namespace floe::cli
