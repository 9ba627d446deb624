#include "model/plan.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "base/view.h"
#include "model/accounting.h"
#include "model/training_memory.h"

namespace floe::model {
namespace {

constexpr int64_t kF32Bytes = 4;
constexpr int64_t kBf16Bytes = 2;

struct Component {
  const char* name;
  const char* note;
  int64_t count;
};

std::vector<Component> Components(const Blueprint& b) {
  const ParameterCounts counts = CountParameters(b);
  const bool gpt2 = b.family == Family::kGpt2;
  return {{"embeddings", gpt2 ? "tokens and positions" : "tokens", counts.embeddings},
          {"attention", "q, k, v, output", counts.attention},
          {"ffn", b.ffn == FfnKind::kGated ? "gate, up, down" : "up, down", counts.ffn},
          {"norms", gpt2 ? "LayerNorm" : "RMSNorm", counts.norms},
          {"head", b.tie_embeddings ? "tied: the transposed embedding" : "logits", counts.head},
          {"biases", counts.biases == 0 ? "none" : "of the linear layers", counts.biases}};
}

std::string Grouped(int64_t value) {
  const std::string digits = absl::StrCat(value);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string Scaled(double value, double step, const std::array<const char*, 6>& units) {
  size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return absl::StrFormat("%.*f%s", unit == 0 ? 0 : 2, value, units[unit]);
}

std::string Bytes(int64_t bytes) {
  return Scaled(static_cast<double>(bytes), 1024, {" B", " KiB", " MiB", " GiB", " TiB", " PiB"});
}

std::string Flops(int64_t flops) {
  return Scaled(static_cast<double>(flops), 1000,
                {" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP"});
}

int64_t SequenceLength(const Blueprint& b, const PlanWorkload& workload) {
  return workload.sequence_length > 0 ? workload.sequence_length : b.context;
}

std::string Dials(const Blueprint& b) {
  std::string out;
  const auto line = [&](const char* name, const std::string& value) {
    absl::StrAppendFormat(&out, "  %-16s %15s\n", name, value);
  };
  line("family", std::string(FamilyName(b.family)));
  line("vocab_size", Grouped(b.vocab_size));
  line("hidden_size", Grouped(b.hidden_size));
  line("num_layers", Grouped(b.num_layers));
  line("num_heads", Grouped(b.num_heads));
  line("num_kv_heads", Grouped(b.num_kv_heads));
  line("head_dim", Grouped(b.head_dim));
  line("ffn_hidden", Grouped(b.ffn_hidden));
  line("ffn", b.ffn == FfnKind::kGated ? "gated" : "plain");
  line("context", Grouped(b.context));
  line("tie_embeddings", b.tie_embeddings ? "yes" : "no");
  return out;
}

std::string Memory(const Blueprint& b, const PlanWorkload& workload) {
  const int64_t length = SequenceLength(b, workload);
  const TrainingMemory train =
      EstimateTrainingMemory(b, {.batch_size = workload.batch_size, .sequence_length = length});
  std::string out;
  const auto line = [&](const char* name, int64_t bytes, const std::string& note) {
    absl::StrAppendFormat(&out, "  %-16s %15s  %s\n", name, Bytes(bytes), note);
  };
  absl::StrAppendFormat(&out, "Memory to train: 32 bits, AdamW, batch of %d x %s tokens\n",
                        workload.batch_size, Grouped(length));
  line("weights", train.weights, "");
  line("gradients", train.gradients, "");
  line("optimizer", train.optimizer, "two moments");
  line("activations", train.activations, "estimate, without recomputation");
  line("workspace", train.workspace, "logits by chunks, gradients on their way");
  line("total", train.Total(), "");
  absl::StrAppendFormat(&out, "Memory to serve: %d sequences of %s tokens\n", workload.batch_size,
                        Grouped(length));
  for (const auto& [name, width] : {std::pair{"f32", kF32Bytes}, std::pair{"bf16", kBf16Bytes}}) {
    const ServingMemory serve = EstimateServingMemory(b, workload.batch_size, length, width);
    line(name, serve.Total(),
         absl::StrCat("weights ", Bytes(serve.weights), ", KV cache ", Bytes(serve.kv_cache)));
  }
  return out;
}

}  // namespace

std::string PlanTable(const Blueprint& b, const PlanWorkload& workload) {
  const int64_t total = CountParameters(b).Total();
  std::string out = absl::StrCat("Dials\n", Dials(b), "Parameters\n");
  const auto line = [&](const char* name, int64_t count, const char* note) {
    absl::StrAppendFormat(&out, "  %-16s %15s  %6.2f %%  %s\n", name, Grouped(count),
                          100.0 * static_cast<double>(count) / static_cast<double>(total), note);
  };
  for (const Component& part : Components(b)) line(part.name, part.count, part.note);
  line("total", total, "");
  const int64_t length = SequenceLength(b, workload);
  absl::StrAppendFormat(&out, "Work a token, attending to %s\n", Grouped(length));
  absl::StrAppendFormat(&out, "  %-16s %15s\n", "forward", Flops(ForwardFlopsPerToken(b, length)));
  absl::StrAppendFormat(&out, "  %-16s %15s\n", "training",
                        Flops(TrainingFlopsPerToken(b, length)));
  absl::StrAppend(&out, Memory(b, workload));
  absl::StrAppendFormat(&out, "KV cache a token\n  %-16s %15s\n  %-16s %15s\n", "f32",
                        Bytes(KvBytesPerToken(b, kF32Bytes)), "bf16",
                        Bytes(KvBytesPerToken(b, kBf16Bytes)));
  return out;
}

std::string PlanJson(const Blueprint& b, const PlanWorkload& workload) {
  using Json = nlohmann::ordered_json;
  const int64_t length = SequenceLength(b, workload);
  const int64_t total = CountParameters(b).Total();
  Json parameters = {{"total", total}};
  Json shares = Json::object();
  for (const Component& part : Components(b)) {
    parameters[part.name] = part.count;
    shares[part.name] = static_cast<double>(part.count) / static_cast<double>(total);
  }
  parameters["shares"] = shares;
  const TrainingMemory train =
      EstimateTrainingMemory(b, {.batch_size = workload.batch_size, .sequence_length = length});
  Json serving = Json::object();
  for (const auto& [name, width] : {std::pair{"f32", kF32Bytes}, std::pair{"bf16", kBf16Bytes}}) {
    const ServingMemory serve = EstimateServingMemory(b, workload.batch_size, length, width);
    serving[name] = {
        {"total", serve.Total()}, {"weights", serve.weights}, {"kv_cache", serve.kv_cache}};
  }
  const Json plan = {
      {"blueprint",
       {{"family", FamilyName(b.family)},
        {"vocab_size", b.vocab_size},
        {"hidden_size", b.hidden_size},
        {"num_layers", b.num_layers},
        {"num_heads", b.num_heads},
        {"num_kv_heads", b.num_kv_heads},
        {"head_dim", b.head_dim},
        {"ffn_hidden", b.ffn_hidden},
        {"ffn", b.ffn == FfnKind::kGated ? "gated" : "plain"},
        {"context", b.context},
        {"rope_theta", b.rope_theta},
        {"norm_eps", b.norm_eps},
        {"tie_embeddings", b.tie_embeddings}}},
      {"workload", {{"batch_size", workload.batch_size}, {"sequence_length", length}}},
      {"parameters", parameters},
      {"flops_per_token",
       {{"forward", ForwardFlopsPerToken(b, length)},
        {"training", TrainingFlopsPerToken(b, length)}}},
      {"memory",
       {{"training",
         {{"total", train.Total()},
          {"weights", train.weights},
          {"gradients", train.gradients},
          {"optimizer", train.optimizer},
          {"activations", train.activations},
          {"workspace", train.workspace}}},
        {"serving", serving}}},
      {"kv_bytes_per_token",
       {{"f32", KvBytesPerToken(b, kF32Bytes)}, {"bf16", KvBytesPerToken(b, kBf16Bytes)}}}};
  return plan.dump(2) + "\n";
}

}  // namespace floe::model
