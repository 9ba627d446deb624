// floe plan: where a model's parameters, arithmetic and memory go. Local: needs no fleet.
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"
#include "model/plan.h"
#include "model/presets.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::cli {
namespace {

struct PlanFlags {
  std::string preset;
  std::string job;
  std::string family;
  std::optional<int64_t> vocab_size, hidden_size, num_layers, num_heads, num_kv_heads, head_dim,
      ffn_hidden, context;
  std::string ffn;
  std::optional<bool> tie_embeddings;
  model::PlanWorkload workload;
  bool batch_given = false;
};

// What a dial left out means: as many key/value heads as heads, a width shared out evenly.
void FillDials(const PlanFlags& flags, model::Blueprint& blueprint) {
  const auto set = [](const std::optional<int64_t>& flag, int64_t& dial) {
    if (flag) dial = *flag;
  };
  const bool fresh = flags.preset.empty() && flags.job.empty();
  set(flags.vocab_size, blueprint.vocab_size);
  set(flags.hidden_size, blueprint.hidden_size);
  set(flags.num_layers, blueprint.num_layers);
  set(flags.num_heads, blueprint.num_heads);
  if (fresh) blueprint.num_kv_heads = blueprint.num_heads;
  set(flags.num_kv_heads, blueprint.num_kv_heads);
  if (fresh && blueprint.num_heads > 0) {
    blueprint.head_dim = blueprint.hidden_size / blueprint.num_heads;
  }
  set(flags.head_dim, blueprint.head_dim);
  if (fresh) blueprint.ffn_hidden = 4 * blueprint.hidden_size;
  set(flags.ffn_hidden, blueprint.ffn_hidden);
  set(flags.context, blueprint.context);
  if (flags.tie_embeddings) blueprint.tie_embeddings = *flags.tie_embeddings;
}

// The blueprint and the workload of a job file; its vocabulary is the tokenizer's, which only the
// fleet knows.
absl::StatusOr<model::Blueprint> BlueprintOfJob(Session& session, PlanFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(session.folder / flags.job, 1 << 20));
  const auto spec = trainer::ParsePretrainSpec(text);
  if (!spec.ok()) {
    return absl::Status(spec.status().code(),
                        absl::StrCat(flags.job, ": ", spec.status().message()));
  }
  if (!flags.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat("the vocabulary of ", flags.job,
                                                   " is that of its tokenizer '", spec->tokenizer,
                                                   "'; give its size with --vocab-size"));
  }
  if (!flags.batch_given) flags.workload.batch_size = spec->train.batch_size;
  if (flags.workload.sequence_length == 0) {
    flags.workload.sequence_length = spec->train.sequence_length;
  }
  return spec->blueprint;
}

absl::StatusOr<model::Blueprint> BlueprintOf(Session& session, PlanFlags& flags) {
  model::Blueprint blueprint;
  if (!flags.job.empty()) {
    FLOE_ASSIGN_OR_RETURN(blueprint, BlueprintOfJob(session, flags));
  } else if (!flags.preset.empty()) {
    absl::StatusOr<model::Blueprint> preset = model::Preset(flags.preset);
    if (!preset.ok()) return absl::InvalidArgumentError(preset.status().message());
    blueprint = *preset;
  } else if (!flags.hidden_size) {
    return absl::InvalidArgumentError(
        "nothing to plan: give --preset NAME, or the dials (at least --vocab-size --hidden-size "
        "--num-layers --num-heads --context)");
  }
  if (!flags.family.empty()) {
    FLOE_ASSIGN_OR_RETURN(blueprint.family, model::ParseFamily(flags.family));
    if (flags.preset.empty() && flags.job.empty() && blueprint.family == model::Family::kGpt2) {
      blueprint.ffn = model::FfnKind::kPlain;
      blueprint.norm_eps = 1e-5;
    }
  }
  if (!flags.ffn.empty()) {
    blueprint.ffn = flags.ffn == "gated" ? model::FfnKind::kGated : model::FfnKind::kPlain;
  }
  FillDials(flags, blueprint);
  if (flags.preset.empty() && flags.job.empty() && !flags.head_dim && blueprint.num_heads > 0 &&
      blueprint.hidden_size % blueprint.num_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--hidden-size ", blueprint.hidden_size, " does not divide by --num-heads ",
                     blueprint.num_heads, "; change one of them, or give --head-dim"));
  }
  FLOE_RETURN_IF_ERROR(blueprint.Validate());
  return blueprint;
}

absl::Status Plan(Session& session, PlanFlags flags) {
  FLOE_ASSIGN_OR_RETURN(const model::Blueprint blueprint, BlueprintOf(session, flags));
  if (session.json) {
    session.PrintJson(nlohmann::ordered_json::parse(model::PlanJson(blueprint, flags.workload)));
  } else {
    session.out() << model::PlanTable(blueprint, flags.workload);
  }
  return absl::OkStatus();
}

}  // namespace

void AddPlanCommand(CommandLine& line) {
  auto& flags = line.Keep<PlanFlags>();
  const std::string presets = absl::StrJoin(
      model::PresetNames(), ", ",
      [](std::string* out, std::string_view name) { out->append(name.data(), name.size()); });
  CLI::App* command = AddCommand(
      line.app(), "plan",
      "Size a model from its dials: parameters, FLOPs a token, memory, KV bytes; needs no fleet",
      "  floe plan --preset qwen3-0.6b\n"
      "  floe plan --preset llama-3-8b --json | jq .parameters.total\n"
      "  floe plan --vocab-size 4096 --hidden-size 256 --num-layers 6 --num-heads 4 \\\n"
      "            --num-kv-heads 2 --head-dim 64 --ffn-hidden 768 --context 256\n"
      "  floe plan --preset gpt2 --num-layers 24      a preset with one dial turned\n"
      "  floe plan --job job.yaml --vocab-size 4096   what a training job will make");
  command->add_option("--preset", flags.preset, absl::StrCat("A published model: ", presets));
  command->add_option("--job", flags.job, "The blueprint of a pre-training job file")
      ->excludes("--preset");
  command->add_option("--family", flags.family, "qwen3 (default), llama, qwen2 or gpt2");
  command->add_option("--vocab-size", flags.vocab_size, "V: rows of the embedding");
  command->add_option("--hidden-size", flags.hidden_size, "D: width of the residual stream");
  command->add_option("--num-layers", flags.num_layers, "L: transformer blocks");
  command->add_option("--num-heads", flags.num_heads, "H: query heads");
  command->add_option("--num-kv-heads", flags.num_kv_heads, "Key/value heads [H]");
  command->add_option("--head-dim", flags.head_dim, "Width of one head [D/H]");
  command->add_option("--ffn-hidden", flags.ffn_hidden, "F: width of the feed-forward layer [4D]");
  command->add_option("--ffn", flags.ffn, "gated (SwiGLU) or plain (GELU)")
      ->check(CLI::IsMember({"gated", "plain"}));
  command->add_option("--context", flags.context, "Most tokens a sequence may hold");
  command->add_option("--tie-embeddings", flags.tie_embeddings,
                      "true: the head is the transposed embedding");
  command
      ->add_option("--batch-size", flags.workload.batch_size,
                   "Sequences to train on, or to serve, at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--sequence-length", flags.workload.sequence_length,
                   "Tokens of each [the context]")
      ->check(CLI::NonNegativeNumber);
  line.OnRun(command, [&flags](Session& session) { return Plan(session, flags); });
}

}  // namespace floe::cli
