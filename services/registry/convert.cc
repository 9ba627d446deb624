#include "services/registry/convert.h"

#include "registry/names.h"
#include "services/runtime/proto_time.h"

namespace floe::registry {
v1::Blob ToProto(const Blob& blob) {
  v1::Blob out;
  out.set_digest(blob.digest);
  out.set_size_bytes(blob.size_bytes);
  return out;
}

v1::Dataset ToProto(const Dataset& dataset) {
  v1::Dataset out;
  out.set_name(DatasetName(dataset.name));
  out.set_digest(dataset.blob.digest);
  out.set_size_bytes(dataset.blob.size_bytes);
  out.set_format(dataset.format);
  out.set_documents(dataset.documents);
  out.set_description(dataset.description);
  *out.mutable_create_time() = runtime::ToProto(dataset.create_time);
  out.set_creator(dataset.creator);
  return out;
}

v1::Tokenizer ToProto(const TokenizerRevision& tokenizer) {
  v1::Tokenizer out;
  out.set_name(TokenizerName(tokenizer.name));
  out.set_digest(tokenizer.digest);
  out.set_vocab_size(tokenizer.vocab_size);
  out.set_config_digest(tokenizer.config_digest);
  out.set_dataset_digest(tokenizer.dataset_digest);
  out.set_job(tokenizer.job);
  *out.mutable_create_time() = runtime::ToProto(tokenizer.create_time);
  out.set_bytes_per_token(tokenizer.bytes_per_token);
  return out;
}

v1::ModelVersion ToProto(const ModelVersion& version) {
  v1::ModelVersion out;
  out.set_name(ToString(version.name));
  out.set_digest(version.digest);
  out.set_manifest(version.manifest);
  for (const VersionFile& file : version.files) {
    auto& added = *out.add_files();
    added.set_name(file.name);
    added.set_digest(file.blob.digest);
    added.set_size_bytes(file.blob.size_bytes);
  }
  auto& lineage = *out.mutable_lineage();
  lineage.set_parent_digest(version.lineage.parent_digest);
  lineage.set_dataset_digest(version.lineage.dataset_digest);
  lineage.set_tokenizer_digest(version.lineage.tokenizer_digest);
  lineage.set_job(version.lineage.job);
  lineage.set_dataset(version.lineage.dataset);
  lineage.set_tokenizer(version.lineage.tokenizer);
  for (const auto& [name, value] : version.metrics) (*out.mutable_metrics())[name] = value;
  *out.mutable_create_time() = runtime::ToProto(version.create_time);
  out.set_creator(version.creator);
  out.set_parameters(version.parameters);
  for (const std::string& alias : version.aliases) out.add_aliases(alias);
  return out;
}

v1::Alias ToProto(const Alias& alias) {
  v1::Alias out;
  out.set_name(ToString(alias.name));
  out.set_version(ToString(VersionName{alias.name.model, alias.version}));
  out.set_digest(alias.digest);
  out.set_etag(alias.etag);
  *out.mutable_update_time() = runtime::ToProto(alias.update_time);
  for (const AliasMove& move : alias.history) {
    auto& added = *out.add_history();
    if (move.from_version > 0) {
      added.set_from_version(ToString(VersionName{alias.name.model, move.from_version}));
    }
    added.set_to_version(ToString(VersionName{alias.name.model, move.to_version}));
    added.set_actor(move.actor);
    added.set_reason(move.reason);
    added.set_overridden(move.overridden);
    for (const std::string& failure : move.failures) added.add_failures(failure);
    *added.mutable_time() = runtime::ToProto(move.time);
  }
  return out;
}

v1::Model ToProto(const Model& model) {
  v1::Model out;
  out.set_name(ModelName(model.name));
  *out.mutable_create_time() = runtime::ToProto(model.create_time);
  out.set_version_count(model.version_count);
  for (const Alias& alias : model.aliases) *out.add_aliases() = ToProto(alias);
  if (model.latest_version > 0) {
    out.set_latest_version(ToString(VersionName{model.name, model.latest_version}));
  }
  return out;
}

v1::Evaluation ToProto(const Evaluation& evaluation) {
  v1::Evaluation out;
  out.set_name(EvaluationName({evaluation.team, evaluation.id}));
  out.set_model_digest(evaluation.model_digest);
  out.set_tokenizer_digest(evaluation.tokenizer_digest);
  out.set_template_digest(evaluation.template_digest);
  out.set_dataset_digest(evaluation.dataset_digest);
  out.set_task(evaluation.task);
  for (const auto& [name, value] : evaluation.metrics) (*out.mutable_metrics())[name] = value;
  out.set_examples(evaluation.examples);
  out.set_tokens(evaluation.tokens);
  out.set_job(evaluation.job);
  *out.mutable_create_time() = runtime::ToProto(evaluation.create_time);
  out.set_creator(evaluation.creator);
  out.set_model_version(evaluation.model_version);
  out.set_dataset(evaluation.dataset);
  out.set_report(evaluation.report);
  return out;
}

v1::GatePolicy ToProto(const GatePolicy& policy) {
  v1::GatePolicy out;
  out.set_name(GatePolicyName(policy.model));
  out.set_policy(policy.text);
  for (const Gate& gate : policy.gates) {
    auto& added = *out.add_gates();
    added.set_alias(gate.alias);
    added.set_dataset_digest(gate.dataset_digest());
    added.set_metric(gate.metric);
    added.set_higher_is_better(gate.higher_is_better);
    added.set_may_worsen_by(gate.may_worsen_by);
    if (gate.at_least) added.set_at_least(*gate.at_least);
    if (gate.at_most) added.set_at_most(*gate.at_most);
  }
  if (!policy.text.empty()) *out.mutable_update_time() = runtime::ToProto(policy.update_time);
  out.set_updater(policy.updater);
  return out;
}

}  // namespace floe::registry
