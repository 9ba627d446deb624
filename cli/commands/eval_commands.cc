// floe eval run | ls | show
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/commands/model_reference.h"
#include "cli/commands/pages.h"
#include "cli/commands/submit.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"
#include "trainer/alignment/spec/evaluate_spec.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;
using Stub = pb::RegistryService::Stub;

struct RunFlags {
  trainer::EvaluateSpec spec;
  SubmitFlags submit;
};

absl::Status RunEvaluation(Session& session, const RunFlags& flags) {
  return SubmitAndTell(
      session,
      {"alignment", std::string(trainer::kEvaluateJobKind), trainer::EvaluateSpecJson(flags.spec)},
      flags.submit);
}

struct ListFlags {
  std::string model;
  std::string dataset;
};

std::map<std::string, double> Sorted(const pb::Evaluation& evaluation) {
  return {evaluation.metrics().begin(), evaluation.metrics().end()};
}

std::string Numbers(const pb::Evaluation& evaluation) {
  return absl::StrJoin(Sorted(evaluation), "  ", [](std::string* out, const auto& metric) {
    absl::StrAppendFormat(out, "%s %.4f", metric.first, metric.second);
  });
}

// The resource's last id where the team has it, else its digest.
std::string NameOr(const std::string& name, const std::string& digest) {
  if (name.empty()) return ShortDigest(digest);
  return name.find("/versions/") == std::string::npos ? LastId(name) : ShortVersion(name);
}

absl::Status List(Session& session, const ListFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::ListEvaluationsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  if (!flags.model.empty()) {
    FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
    request.set_model_digest(version.digest());
  }
  if (!flags.dataset.empty()) {
    pb::GetDatasetRequest get;
    FLOE_ASSIGN_OR_RETURN(*get.mutable_name(), session.ResourceName("datasets", flags.dataset));
    FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset,
                          door->Ask(door->registry(), &Stub::GetDataset, get));
    request.set_dataset_digest(dataset.digest());
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Evaluation> evaluations,
                        (ListAll<pb::Evaluation>(
                            *door, door->registry(), &Stub::ListEvaluations, request,
                            [](auto& page) -> auto& { return *page.mutable_evaluations(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(evaluations));
    return absl::OkStatus();
  }
  Table table({"EVALUATION", "MODEL", "DATASET", "TASK", ">EXAMPLES", "NUMBERS"});
  for (const pb::Evaluation& one : evaluations) {
    table.Add({LastId(one.name()), NameOr(one.model_version(), one.model_digest()),
               NameOr(one.dataset(), one.dataset_digest()), one.task(), HumanCount(one.examples()),
               Numbers(one)});
  }
  session.out() << (table.empty() ? "No evaluations yet; `floe eval run` makes one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

struct ShowFlags {
  std::string evaluation;
};

absl::Status Show(Session& session, const ShowFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetEvaluationRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(),
                        session.ResourceName("evaluations", flags.evaluation));
  FLOE_ASSIGN_OR_RETURN(const pb::Evaluation evaluation,
                        door->Ask(door->registry(), &Stub::GetEvaluation, request));
  if (session.json) {
    session.PrintJson(ToJson(evaluation));
    return absl::OkStatus();
  }
  const auto digest = [](const std::string& name, const std::string& value) {
    return absl::StrCat(name.empty() ? "" : absl::StrCat(name, "  "),
                        value.empty() ? "-" : "sha256:" + value);
  };
  Fields fields;
  fields.Add("evaluation", evaluation.name());
  fields.Add("task", evaluation.task());
  fields.Add("model", digest(evaluation.model_version(), evaluation.model_digest()));
  fields.Add("tokenizer", digest("", evaluation.tokenizer_digest()));
  fields.Add("template", digest("", evaluation.template_digest()));
  fields.Add("dataset", digest(evaluation.dataset(), evaluation.dataset_digest()));
  fields.Add("examples", absl::StrCat(HumanCount(evaluation.examples()), ", ",
                                      HumanCount(evaluation.tokens()), " tokens scored"));
  fields.Add("job", evaluation.job().empty() ? "-" : evaluation.job());
  fields.Add("kept",
             absl::StrCat(HumanTime(TimeOf(evaluation.create_time()), absl::LocalTimeZone()),
                          " by ", evaluation.creator()));
  session.out() << fields.Render() << "\nmeasured\n";
  Fields metrics;
  for (const auto& [name, value] : Sorted(evaluation)) {
    metrics.Add("  " + name, absl::StrFormat("%.6g", value));
  }
  session.out() << metrics.Render();
  return absl::OkStatus();
}

}  // namespace

void AddEvalCommands(CommandLine& line) {
  CLI::App* group = AddGroup(line.app(), "eval", "Evidence: what models score on held-out data");
  auto& run = line.Keep<RunFlags>();
  CLI::App* command = AddCommand(
      *group, "run", "Evaluate versions on datasets, as a job",
      "  floe eval run hamlet@3 --dataset questions-held-out --watch\n"
      "  floe eval run hamlet@production hamlet@latest --dataset questions --dataset choices\n\n"
      "The format of a dataset says what is measured: perplexity and bits a byte of text, the "
      "loss\n"
      "of chat answers, the accuracy of preferences and of choices. The engine that serves "
      "scores.");
  command->add_option("model", run.spec.models, kModelReference)->required();
  command->add_option("--dataset", run.spec.datasets, "On what; may be given again")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--batch-size", run.spec.batch_size, "Texts a call; changes no score")
      ->capture_default_str();
  AddSubmitOptions(*command, run.submit);
  line.OnRun(command, [&run](Session& session) { return RunEvaluation(session, run); });

  auto& list = line.Keep<ListFlags>();
  command = AddCommand(*group, "ls", "List the team's evaluations, newest first",
                       "  floe eval ls --model hamlet@3\n"
                       "  floe eval ls --json | jq '.[].metrics'");
  command->add_option("--model", list.model, kModelReference);
  command->add_option("--dataset", list.dataset, "A dataset's id");
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  auto& show = line.Keep<ShowFlags>();
  command = AddCommand(*group, "show", "One evaluation: its numbers and all digests",
                       "  floe eval show ev-0123…");
  command->add_option("evaluation", show.evaluation, "The evaluation's id")->required();
  line.OnRun(command, [&show](Session& session) { return Show(session, show); });
}

}  // namespace floe::cli
