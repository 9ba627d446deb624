#include "cli/commands/plan_dials.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/plan/hardware_file.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "model/dials.h"
#include "model/presets.h"
#include "trainer/spec/memory.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::cli {
namespace {

constexpr size_t kCandidates = 5;
constexpr absl::Duration kPatience = absl::Seconds(5);  // a plan does not wait for a fleet

void Set(const std::optional<int64_t>& flag, int64_t& dial) {
  if (flag) dial = *flag;
}

// The dials that were given, over those of a whole blueprint.
absl::Status TurnDials(const DialFlags& flags, model::Blueprint& b) {
  if (!flags.family.empty()) {
    FLOE_ASSIGN_OR_RETURN(b.family, model::ParseFamily(flags.family));
  }
  if (!flags.ffn.empty()) {
    b.ffn = flags.ffn == "gated" ? model::FfnKind::kGated : model::FfnKind::kPlain;
  }
  Set(flags.vocab_size, b.vocab_size);
  Set(flags.hidden_size, b.hidden_size);
  Set(flags.num_layers, b.num_layers);
  Set(flags.num_heads, b.num_heads);
  Set(flags.num_kv_heads, b.num_kv_heads);
  Set(flags.head_dim, b.head_dim);
  Set(flags.ffn_hidden, b.ffn_hidden);
  Set(flags.context, b.context);
  if (flags.tie_embeddings) b.tie_embeddings = *flags.tie_embeddings;
  return absl::OkStatus();
}

// GPT-2 has no gate, no shared keys, and its own epsilon.
void ForGpt2(const DialFlags& flags, model::Blueprint& b) {
  if (flags.family != "gpt2") return;
  if (flags.ffn.empty()) b.ffn = model::FfnKind::kPlain;
  if (!flags.num_kv_heads) b.num_kv_heads = b.num_heads;
  b.norm_eps = 1e-5;
}

// What a dial left out means: as many key/value heads as heads, a width shared out evenly.
absl::StatusOr<model::Blueprint> FromDials(const DialFlags& flags) {
  if (!flags.hidden_size) {
    return absl::InvalidArgumentError(
        "nothing to plan: give --preset NAME, --target-parameters N, or the dials (at least "
        "--vocab-size --hidden-size --num-layers --num-heads --context)");
  }
  model::Blueprint b;
  FLOE_RETURN_IF_ERROR(TurnDials(flags, b));
  if (!flags.num_kv_heads) b.num_kv_heads = b.num_heads;
  if (!flags.head_dim && b.num_heads > 0) {
    if (b.hidden_size % b.num_heads != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--hidden-size ", b.hidden_size, " does not divide by --num-heads ",
                       b.num_heads, "; change one of them, or give --head-dim"));
    }
    b.head_dim = b.hidden_size / b.num_heads;
  }
  if (!flags.ffn_hidden) b.ffn_hidden = 4 * b.hidden_size;
  ForGpt2(flags, b);
  return b;
}

// The vocabulary of a job is that of its tokenizer, which the fleet knows.
absl::StatusOr<int64_t> VocabularyOf(Session& session, const std::string& file,
                                     const std::string& tokenizer, bool offline) {
  const auto unknown = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("the vocabulary of ", file, " is that of its tokenizer '", tokenizer, "'",
                     std::string(why), "; give its size with --vocab-size"));
  };
  if (offline) return unknown("");
  const auto door = session.OpenDoor();
  if (!door.ok()) return unknown("");
  registry::v1::GetTokenizerRequest request;
  const auto team = (*door)->Team(kPatience);
  if (!team.ok()) return unknown(absl::StrCat(", and the fleet says: ", team.status().message()));
  request.set_name(absl::StartsWith(tokenizer, "teams/")
                       ? tokenizer
                       : absl::StrCat(*team, "/tokenizers/", tokenizer));
  const auto found =
      (*door)->Ask((*door)->registry(), &registry::v1::RegistryService::Stub::GetTokenizer, request,
                   {}, kPatience);
  if (!found.ok()) return unknown(absl::StrCat(", and the fleet says: ", found.status().message()));
  return found->vocab_size();
}

absl::StatusOr<PlannedDials> FromJob(Session& session, const DialFlags& flags, bool offline) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(session.folder / flags.job, 1 << 20));
  const auto spec = trainer::ParsePretrainSpec(text);
  if (!spec.ok()) {
    return absl::Status(spec.status().code(),
                        absl::StrCat(flags.job, ": ", spec.status().message()));
  }
  PlannedDials planned;
  planned.blueprint = spec->blueprint;
  if (!flags.vocab_size) {
    FLOE_ASSIGN_OR_RETURN(planned.blueprint.vocab_size,
                          VocabularyOf(session, flags.job, spec->tokenizer, offline));
  }
  FLOE_RETURN_IF_ERROR(TurnDials(flags, planned.blueprint));
  // On one device: the processes of a job share a machine, and do not make it two.
  trainer::TrainSettings alone = spec->train;
  alone.processes = 1;
  planned.run = trainer::MemoryOptionsOf(alone);
  if (spec->train.precision == trainer::PrecisionKind::kBf16) {
    planned.run->precision = model::TrainingPrecision::kBf16Mixed;
  }
  planned.tokens = spec->train.steps * spec->train.batch_size * spec->train.gradient_accumulation *
                   spec->train.sequence_length;
  return planned;
}

// A preset with dials turned, or (for a wanted size without a width) a style with dials turned.
absl::StatusOr<model::Blueprint> WholeBlueprint(const DialFlags& flags, int64_t target) {
  model::Blueprint b;
  if (!flags.preset.empty()) {
    absl::StatusOr<model::Blueprint> preset = model::Preset(flags.preset);
    if (!preset.ok()) return absl::InvalidArgumentError(preset.status().message());
    b = *std::move(preset);
  } else if (target > 0 && !flags.hidden_size) {
    b = model::DefaultStyle(target);
    ForGpt2(flags, b);
  } else {
    return FromDials(flags);
  }
  FLOE_RETURN_IF_ERROR(TurnDials(flags, b));
  return b;
}

}  // namespace

absl::StatusOr<PlannedDials> DialsOf(Session& session, const DialFlags& flags, bool offline) {
  PlannedDials planned;
  int64_t target = 0;
  if (!flags.target.empty()) {
    FLOE_ASSIGN_OR_RETURN(target, ParseQuantity(flags.target));
    if (target < 1) return absl::InvalidArgumentError("--target-parameters is 0: must be above 0");
  }
  if (!flags.job.empty()) {
    FLOE_ASSIGN_OR_RETURN(planned, FromJob(session, flags, offline));
  } else {
    FLOE_ASSIGN_OR_RETURN(planned.blueprint, WholeBlueprint(flags, target));
  }
  FLOE_RETURN_IF_ERROR(planned.blueprint.Validate());
  planned.target = target;
  if (target > 0) {
    planned.nearest = model::NearestDials(planned.blueprint, target, kCandidates);
    planned.blueprint = planned.nearest.front();
  }
  return planned;
}

void AddDialOptions(CLI::App& command, DialFlags& flags) {
  const std::string presets = absl::StrJoin(
      model::PresetNames(), ", ",
      [](std::string* out, std::string_view name) { out->append(name.data(), name.size()); });
  command.add_option("--preset", flags.preset, absl::StrCat("Dials by name: ", presets));
  command.add_option("--job", flags.job, "The blueprint and the run of a pre-training job file")
      ->excludes("--preset");
  command.add_option("--target-parameters", flags.target,
                     "The dials nearest to this size, in the proportions of what else is given: "
                     "7e9, 7B");
  command.add_option("--family", flags.family, "qwen3 (default), llama, qwen2 or gpt2");
  command.add_option("--vocab-size", flags.vocab_size, "V: rows of the embedding");
  command.add_option("--hidden-size", flags.hidden_size, "D: width of the residual stream");
  command.add_option("--num-layers", flags.num_layers, "L: transformer blocks");
  command.add_option("--num-heads", flags.num_heads, "H: query heads");
  command.add_option("--num-kv-heads", flags.num_kv_heads, "Key/value heads [H]");
  command.add_option("--head-dim", flags.head_dim, "Width of one head [D/H]");
  command.add_option("--ffn-hidden", flags.ffn_hidden, "F: width of the feed-forward layer [4D]");
  command.add_option("--ffn", flags.ffn, "gated (SwiGLU) or plain (GELU)")
      ->check(CLI::IsMember({"gated", "plain"}));
  command.add_option("--context", flags.context, "Most tokens a sequence may hold");
  command.add_option("--tie-embeddings", flags.tie_embeddings,
                     "true: the head is the transposed embedding");
}

}  // namespace floe::cli
