#include "cli/plan/plan_json.h"

#include <optional>
#include <utility>

#include "cli/plan/component.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;

Json BlueprintJson(const model::Blueprint& b) {
  Json json = {{"family", model::FamilyName(b.family)},
               {"vocab_size", b.vocab_size},
               {"hidden_size", b.hidden_size},
               {"num_layers", b.num_layers},
               {"num_heads", b.num_heads},
               {"num_kv_heads", b.num_kv_heads},
               {"head_dim", b.head_dim},
               {"ffn_hidden", b.ffn_hidden},
               {"ffn", FfnName(b.ffn)},
               {"context", b.context},
               {"rope_theta", b.rope_theta},
               {"norm_eps", b.norm_eps},
               {"tie_embeddings", b.tie_embeddings}};
  Json& scaling = json["rope_scaling"];  // null: none
  if (b.rope_scaling == model::RopeScaling{}) return json;
  scaling["rope_type"] = model::RopeScalingName(b.rope_scaling.kind);
  model::VisitDials(b.rope_scaling, [&](const char* name, auto value) { scaling[name] = value; });
  return json;
}

// A model of another size: its dials and its parameters.
Json SizedJson(const std::optional<model::Blueprint>& b) {
  if (!b) return nullptr;
  Json json = BlueprintJson(*b);
  json["parameters"] = model::CountParameters(*b).Total();
  return json;
}

Json ParametersJson(const model::Plan& plan) {
  const int64_t total = plan.parameters.Total();
  Json parameters = {{"total", total}};
  Json shares = Json::object();
  for (const Component& part : ComponentsOf(plan.blueprint, plan.parameters)) {
    parameters[part.name] = part.count;
    shares[part.name] = static_cast<double>(part.count) / static_cast<double>(total);
  }
  parameters["shares"] = std::move(shares);
  if (plan.other_ffn) {
    parameters["other_ffn"] = {{"ffn", FfnName(*plan.other_ffn)}, {"total", plan.other_ffn_total}};
  }
  return parameters;
}

Json TrainingJson(const model::Plan& plan, const Throughput& throughput) {
  const model::TrainingMemoryOptions& asked = plan.request.training;
  Json runs = Json::array();
  for (const PastRun& run : throughput.runs) {
    runs.push_back({{"job", run.job},
                    {"device", run.device},
                    {"flops_per_second", run.flops_per_second},
                    {"tokens_per_second", run.tokens_per_second}});
  }
  return {{"tokens", plan.request.tokens},
          {"compute_optimal_tokens", plan.compute_optimal_tokens},
          {"precision", PrecisionName(asked.precision)},
          {"optimizer", OptimizerName(asked.optimizer)},
          {"activation_checkpointing", asked.activation_checkpointing},
          {"devices", asked.devices},
          {"shard_optimizer", asked.shard_optimizer},
          {"flops",
           {{"rule_of_thumb", plan.work.rule_of_thumb},
            {"exact", plan.work.exact},
            {"executed", plan.work.executed}}},
          {"throughput",
           {{"source", throughput.runs.empty() ? "assumed" : "measured"},
            {"why", throughput.why},
            {"flops_per_second_per_device", plan.flops_per_device},
            {"runs", std::move(runs)}}},
          {"tokens_per_second", plan.time.tokens_per_second},
          {"seconds", plan.time.seconds},
          {"device_hours", plan.time.device_hours},
          {"cost_microdollars", plan.time.microdollars}};
}

Json ServingJson(const model::ServingPlan& serving) {
  return {{"total", serving.memory.Total()},
          {"weights", serving.memory.weights},
          {"kv_cache", serving.memory.kv_cache},
          {"sequences_that_fit", serving.sequences}};
}

Json MemoryJson(const model::Plan& plan) {
  const model::TrainingMemory& train = plan.memory;
  return {
      {"usable", plan.usable_memory},
      {"training",
       {{"total", train.Total()},
        {"fits", plan.fits()},
        {"weights", train.weights},
        {"gradients", train.gradients},
        {"optimizer", train.optimizer},
        {"activations", train.activations},
        {"workspace", train.workspace}}},
      {"serving", {{"f32", ServingJson(plan.serving[0])}, {"bf16", ServingJson(plan.serving[1])}}}};
}

}  // namespace

Json PlanJson(const model::Plan& plan, const Throughput& throughput,
              std::span<const model::Blueprint> nearest) {
  const model::Hardware& hardware = plan.request.hardware;
  Json json = {
      {"blueprint", BlueprintJson(plan.blueprint)},
      {"workload",
       {{"batch_size", plan.request.training.batch_size},
        {"sequence_length", plan.request.training.sequence_length}}},
      {"parameters", ParametersJson(plan)},
      {"flops_per_token",
       {{"forward", plan.forward_flops_per_token}, {"training", 3 * plan.forward_flops_per_token}}},
      {"hardware",
       {{"name", hardware.name},
        {"description", hardware.description},
        {"peak_flops_f32", hardware.peak_f32},
        {"peak_flops_bf16", hardware.peak_bf16},
        {"memory_bytes", hardware.memory_bytes},
        {"price_microdollars_per_hour", hardware.price_microdollars_per_hour},
        {"utilization", hardware.utilization}}},
      {"training", TrainingJson(plan, throughput)},
      {"memory", MemoryJson(plan)},
      {"kv_bytes_per_token",
       {{"f32", plan.serving[0].kv_bytes_per_token}, {"bf16", plan.serving[1].kv_bytes_per_token}}},
      {"largest",
       {{"training", SizedJson(plan.largest_to_train)},
        {"serving_f32", SizedJson(plan.serving[0].largest)},
        {"serving_bf16", SizedJson(plan.serving[1].largest)}}}};
  if (!nearest.empty()) {
    Json sizes = Json::array();
    for (const model::Blueprint& b : nearest) sizes.push_back(SizedJson(b));
    json["nearest"] = std::move(sizes);
  }
  return json;
}

}  // namespace floe::cli
