#include "cli/output/resource_json.h"

#include <map>
#include <vector>

#include "cli/output/job_view.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;

Json Stamp(bool has, const google::protobuf::Timestamp& time) {
  if (!has) return nullptr;
  return absl::FormatTime(absl::RFC3339_full, TimeOf(time), absl::UTCTimeZone());
}

Json Metrics(const google::protobuf::Map<std::string, double>& metrics) {
  return std::map<std::string, double>(metrics.begin(), metrics.end());
}

Json ToJson(const jobs::v1::Progress& progress) {
  Json json = {{"step", progress.step()},
               {"steps", progress.steps()},
               {"metrics", Metrics(progress.metrics())}};
  if (progress.has_remaining()) json["remaining_seconds"] = progress.remaining().seconds();
  if (!progress.device().empty()) json["device"] = progress.device();
  return json;
}

// The specification and the manifest are JSON themselves.
Json Parsed(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

}  // namespace

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Duration CoreTimeOf(const jobs::v1::Usage& used) {
  return absl::Seconds(used.core_time().seconds()) + absl::Nanoseconds(used.core_time().nanos());
}

Json ToJson(const registry::v1::Dataset& dataset) {
  return {{"name", dataset.name()},
          {"digest", dataset.digest()},
          {"size_bytes", dataset.size_bytes()},
          {"format", dataset.format()},
          {"documents", dataset.documents()},
          {"description", dataset.description()},
          {"create_time", Stamp(dataset.has_create_time(), dataset.create_time())},
          {"creator", dataset.creator()}};
}

Json ToJson(const registry::v1::Tokenizer& tokenizer) {
  return {{"name", tokenizer.name()},
          {"digest", tokenizer.digest()},
          {"vocab_size", tokenizer.vocab_size()},
          {"config_digest", tokenizer.config_digest()},
          {"dataset_digest", tokenizer.dataset_digest()},
          {"job", tokenizer.job()},
          {"bytes_per_token", tokenizer.bytes_per_token()},
          {"create_time", Stamp(tokenizer.has_create_time(), tokenizer.create_time())}};
}

Json ToJson(const registry::v1::Alias& alias) {
  Json json = {{"name", alias.name()},
               {"version", alias.version()},
               {"digest", alias.digest()},
               {"etag", alias.etag()},
               {"update_time", Stamp(alias.has_update_time(), alias.update_time())}};
  json["history"] = Json::array();
  for (const auto& move : alias.history()) {
    json["history"].push_back(
        {{"from_version", move.from_version()},
         {"to_version", move.to_version()},
         {"actor", move.actor()},
         {"reason", move.reason()},
         {"overridden", move.overridden()},
         {"failures", std::vector<std::string>(move.failures().begin(), move.failures().end())},
         {"time", Stamp(move.has_time(), move.time())}});
  }
  return json;
}

Json ToJson(const registry::v1::Evaluation& evaluation) {
  Json json = {{"name", evaluation.name()},
               {"task", evaluation.task()},
               {"metrics", Metrics(evaluation.metrics())},
               {"examples", evaluation.examples()},
               {"tokens", evaluation.tokens()},
               {"model_version", evaluation.model_version()},
               {"model_digest", evaluation.model_digest()},
               {"tokenizer_digest", evaluation.tokenizer_digest()},
               {"template_digest", evaluation.template_digest()},
               {"dataset", evaluation.dataset()},
               {"dataset_digest", evaluation.dataset_digest()},
               {"job", evaluation.job()},
               {"create_time", Stamp(evaluation.has_create_time(), evaluation.create_time())},
               {"creator", evaluation.creator()}};
  if (!evaluation.report().empty()) {
    json["report"] = Json::parse(evaluation.report(), nullptr, /*allow_exceptions=*/false);
  }
  return json;
}

Json ToJson(const registry::v1::GatePolicy& policy) {
  Json json = {{"name", policy.name()},
               {"policy", policy.policy()},
               {"update_time", Stamp(policy.has_update_time(), policy.update_time())},
               {"updater", policy.updater()}};
  json["gates"] = Json::array();
  for (const auto& gate : policy.gates()) {
    Json one = {{"alias", gate.alias()},
                {"metric", gate.metric()},
                {"dataset_digest", gate.dataset_digest()},
                {"better", gate.higher_is_better() ? "higher" : "lower"},
                {"may_worsen_by", gate.may_worsen_by()}};
    if (gate.has_at_least()) one["at_least"] = gate.at_least();
    if (gate.has_at_most()) one["at_most"] = gate.at_most();
    json["gates"].push_back(std::move(one));
  }
  return json;
}

Json ToJson(const registry::v1::Model& model) {
  return {{"name", model.name()},
          {"version_count", model.version_count()},
          {"latest_version", model.latest_version()},
          {"aliases", ToJsonArray(model.aliases())},
          {"create_time", Stamp(model.has_create_time(), model.create_time())}};
}

Json ToJson(const registry::v1::ModelVersion& version) {
  const auto& lineage = version.lineage();
  Json json = {
      {"name", version.name()},
      {"digest", version.digest()},
      {"parameters", version.parameters()},
      {"aliases", std::vector<std::string>(version.aliases().begin(), version.aliases().end())},
      {"lineage",
       {{"parent_digest", lineage.parent_digest()},
        {"dataset", lineage.dataset()},
        {"dataset_digest", lineage.dataset_digest()},
        {"tokenizer", lineage.tokenizer()},
        {"tokenizer_digest", lineage.tokenizer_digest()},
        {"job", lineage.job()}}},
      {"metrics", Metrics(version.metrics())},
      {"create_time", Stamp(version.has_create_time(), version.create_time())},
      {"creator", version.creator()},
      {"manifest", Parsed(version.manifest())}};
  json["files"] = Json::array();
  for (const auto& file : version.files()) {
    json["files"].push_back(
        {{"name", file.name()}, {"digest", file.digest()}, {"size_bytes", file.size_bytes()}});
  }
  return json;
}

Json ToJson(const jobs::v1::Job& job) {
  Json json = {{"name", job.name()},
               {"kind", job.kind()},
               {"state", std::string(JobStateName(job.state()))},
               {"attempt", job.attempt()},
               {"max_attempts", job.max_attempts()},
               {"priority", job.priority()},
               {"error", job.error()},
               {"result", job.result()},
               {"creator", job.creator()},
               {"runner", job.runner()},
               {"create_time", Stamp(job.has_create_time(), job.create_time())},
               {"start_time", Stamp(job.has_start_time(), job.start_time())},
               {"end_time", Stamp(job.has_end_time(), job.end_time())},
               {"spec", Parsed(job.spec())}};
  if (job.queue_position() > 0) json["queue_position"] = job.queue_position();
  if (job.memory_bytes() > 0) json["memory_bytes"] = job.memory_bytes();
  if (!job.held_back().empty()) json["held_back"] = job.held_back();
  if (job.has_progress()) json["progress"] = ToJson(job.progress());
  if (job.attempts_size() > 0) json["attempts"] = ToJsonArray(job.attempts());
  return json;
}

Json ToJson(const jobs::v1::Attempt& attempt) {
  return {{"number", attempt.number()},
          {"runner", attempt.runner()},
          {"start_time", Stamp(attempt.has_start_time(), attempt.start_time())},
          {"end_time", Stamp(attempt.has_end_time(), attempt.end_time())},
          {"outcome", attempt.outcome()},
          {"reason", attempt.reason()},
          {"used",
           {{"tokens", attempt.used().tokens()},
            {"gigaflop", attempt.used().gigaflop()},
            {"core_seconds", absl::ToDoubleSeconds(CoreTimeOf(attempt.used()))}}}};
}

Json ToJson(const jobs::v1::JobEvent& event) {
  Json json = {{"sequence", event.sequence()},
               {"time", Stamp(event.has_time(), event.time())},
               {"attempt", event.attempt()}};
  if (event.has_progress()) json["progress"] = ToJson(event.progress());
  if (event.has_log()) json["log"] = {{"level", event.log().level()}, {"text", event.log().text()}};
  if (event.event_case() == jobs::v1::JobEvent::kState) {
    json["state"] = std::string(JobStateName(event.state()));
  }
  return json;
}

Json ToJson(const gateway::v1::Key& key) {
  return {{"name", key.name()},
          {"display_name", key.display_name()},
          {"role", key.role()},
          {"prefix", key.prefix()},
          {"create_time", Stamp(key.has_create_time(), key.create_time())},
          {"revoke_time", Stamp(key.has_revoke_time(), key.revoke_time())},
          {"expire_time", Stamp(key.has_expire_time(), key.expire_time())},
          {"models", std::vector<std::string>(key.models().begin(), key.models().end())},
          {"tiers", std::vector<std::string>(key.tiers().begin(), key.tiers().end())},
          {"tenant", key.tenant()}};
}

}  // namespace floe::cli
