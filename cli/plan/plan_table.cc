#include "cli/plan/plan_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "cli/output/human.h"
#include "cli/output/table.h"
#include "cli/plan/component.h"
#include "cli/plan/plan_diagram.h"

namespace floe::cli {
namespace {

constexpr double kSecondsPerYear = 365.25 * 86400;

std::string Percent(int64_t part, int64_t whole) {
  return absl::StrFormat("%6.2f %%",
                         100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Took(double seconds) {
  if (seconds >= 10 * kSecondsPerYear) {
    return absl::StrFormat("%s years", HumanQuantity(seconds / kSecondsPerYear));
  }
  return HumanDuration(absl::Seconds(seconds));
}

std::string Dollars(int64_t microdollars) {
  const int64_t cents = microdollars / 10'000 + (microdollars % 10'000 > 0);
  return absl::StrFormat("$%s.%02d", HumanCount(cents / 100), cents % 100);
}

// `name  value  note` under a heading.
class Section {
 public:
  explicit Section(const std::string& heading) : out_(absl::StrCat(heading, "\n")) {}
  void Line(const std::string& name, const std::string& value, const std::string& note = {}) {
    absl::StrAppendFormat(&out_, note.empty() ? "  %-18s %15s%s\n" : "  %-18s %15s  %s\n", name,
                          value, note);
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string Dials(const model::Blueprint& b) {
  const std::string scaled =
      b.rope_scaling == model::RopeScaling{}
          ? ""
          // The longest does not fit into a line.
          : absl::StrCat("  rope_scaling ",
                         absl::StrReplaceAll(model::ShownRopeScaling(b.rope_scaling),
                                             {{", original", ",\n  original"}}),
                         "\n");
  return absl::StrFormat(
      "Dials\n"
      "  family %s, vocab_size %s, hidden_size %s, num_layers %s, num_heads %s, num_kv_heads %s,\n"
      "  head_dim %s, ffn_hidden %s, ffn %s, context %s, tie_embeddings %s\n%s",
      std::string(model::FamilyName(b.family)), HumanCount(b.vocab_size), HumanCount(b.hidden_size),
      HumanCount(b.num_layers), HumanCount(b.num_heads), HumanCount(b.num_kv_heads),
      HumanCount(b.head_dim), HumanCount(b.ffn_hidden), FfnName(b.ffn), HumanCount(b.context),
      b.tie_embeddings ? "true" : "false", scaled);
}

std::string Parameters(const model::Plan& plan) {
  const int64_t total = plan.parameters.Total();
  Section section("Parameters");
  for (const Component& part : ComponentsOf(plan.blueprint, plan.parameters)) {
    section.Line(part.name, HumanCount(part.count),
                 absl::StrCat(Percent(part.count, total), "  ", part.note));
  }
  section.Line("total", HumanCount(total),
               absl::StrFormat("%s  the FFN is %.2f x attention", Percent(total, total),
                               static_cast<double>(plan.parameters.ffn) /
                                   static_cast<double>(plan.parameters.attention)));
  if (plan.other_ffn) {
    section.Line(
        absl::StrCat(FfnName(*plan.other_ffn), " ffn instead"), HumanCount(plan.other_ffn_total),
        absl::StrFormat(
            "%+6.2f %%  with the same ffn_hidden",
            100.0 * (static_cast<double>(plan.other_ffn_total) / static_cast<double>(total) - 1)));
  }
  return section.Take();
}

// Where the assumed or measured throughput comes from, in lines that fit.
void AddThroughput(const model::Plan& plan, const Throughput& throughput, Section& section) {
  const model::Hardware& hardware = plan.request.hardware;
  const double peak = hardware.Peak(plan.request.training.precision);
  section.Line(
      "a device sustains", HumanFlops(plan.flops_per_device) + "/s",
      absl::StrFormat("%s: %.1f %% of the %s peak, %s",
                      throughput.runs.empty() ? "assumed" : "measured",
                      100 * plan.flops_per_device / peak,
                      PrecisionName(plan.request.training.precision), HumanFlops(peak) + "/s"));
  for (size_t i = 0; i < std::min<size_t>(throughput.runs.size(), 3); ++i) {
    const PastRun& run = throughput.runs[i];
    section.Line(
        "", "",
        absl::StrCat("job ", run.job.substr(0, 40), ": ", HumanFlops(run.flops_per_second) + "/s"));
  }
  if (!throughput.runs.empty() && !throughput.runs.front().device.empty()) {
    section.Line("", "", "on " + throughput.runs.front().device.substr(0, 58));
  }
  if (throughput.runs.size() > 3) {
    section.Line("", "", absl::StrCat("and ", throughput.runs.size() - 3, " more; their median"));
  }
  if (!throughput.why.empty()) section.Line("", "", throughput.why.substr(0, 62));
}

std::string Training(const model::Plan& plan, const Throughput& throughput) {
  const model::TrainingMemoryOptions& asked = plan.request.training;
  const model::Hardware& hardware = plan.request.hardware;
  Section section(absl::StrFormat("Training on %s tokens, sequences of %s, %s",
                                  HumanQuantity(static_cast<double>(plan.request.tokens)),
                                  HumanCount(asked.sequence_length),
                                  plan.optimal_tokens ? "compute-optimal" : "as asked"));
  section.Line("optimal tokens", HumanCount(plan.compute_optimal_tokens),
               "20 a parameter: Hoffmann et al. 2022, arXiv:2203.15556");
  section.Line("forward", HumanFlops(static_cast<double>(plan.forward_flops_per_token)), "a token");
  section.Line("6 N D", HumanFlops(plan.work.rule_of_thumb), "rule of thumb");
  section.Line("exact", HumanFlops(plan.work.exact), "3 x forward x tokens, causal attention");
  if (asked.activation_checkpointing) {
    section.Line("executed", HumanFlops(plan.work.executed),
                 "forward twice: activation checkpointing");
  }
  section.Line("hardware", absl::StrCat(asked.devices, " x ", hardware.name.substr(0, 20)),
               hardware.description.substr(0, 50));
  AddThroughput(plan, throughput, section);
  section.Line("tokens/s", HumanQuantity(plan.time.tokens_per_second), "all devices");
  section.Line(
      "time", Took(plan.time.seconds),
      absl::StrCat(plan.time.device_hours < 100 ? absl::StrFormat("%.2f", plan.time.device_hours)
                                                : HumanQuantity(plan.time.device_hours),
                   " device-hours"));
  section.Line("cost", Dollars(plan.time.microdollars),
               absl::StrCat("at ", Dollars(hardware.price_microdollars_per_hour),
                            " a device-hour; prices differ: --price-per-hour"));
  return section.Take();
}

std::string TrainingMemory(const model::Plan& plan) {
  const model::TrainingMemoryOptions& asked = plan.request.training;
  const bool mixed = asked.precision == model::TrainingPrecision::kBf16Mixed;
  const bool muon = asked.optimizer == model::OptimizerKind::kMuon;
  Section section(absl::StrFormat("Memory of a device to train: %s, %s, micro-batch of %d x %s",
                                  mixed ? "bf16 mixed" : "f32", muon ? "Muon" : "AdamW",
                                  asked.batch_size, HumanCount(asked.sequence_length)));
  section.Line("weights", HumanBytes(plan.memory.weights), mixed ? "f32, and a copy in bf16" : "");
  section.Line("gradients", HumanBytes(plan.memory.gradients), mixed ? "f32" : "");
  section.Line(
      "optimizer", HumanBytes(plan.memory.optimizer),
      absl::StrCat(
          muon ? "one moment of matrices, two elsewhere" : "two moments",
          asked.shard_optimizer ? absl::StrCat(", shared by ", asked.devices, " (ZeRO-1)") : ""));
  section.Line("activations", HumanBytes(plan.memory.activations),
               asked.activation_checkpointing ? "checkpointed: what enters each layer"
                                              : "all kept; see --activation-checkpointing");
  section.Line("workspace", HumanBytes(plan.memory.workspace),
               "chunks of logits, gradients on their way");
  section.Line(
      "total", HumanBytes(plan.memory.Total()),
      absl::StrFormat("%s in %s, %.0f %% of a device's %s", plan.fits() ? "fits" : "DOES NOT FIT",
                      HumanBytes(plan.usable_memory), 100 * plan.request.memory_share,
                      HumanBytes(plan.request.hardware.memory_bytes)));
  return section.Take();
}

std::string Fitting(int64_t sequences, int64_t length) {
  if (sequences < 0) return "the weights alone do not fit";
  return absl::StrCat(HumanCount(sequences), " sequences of ", HumanCount(length), " fit at once");
}

std::string Serving(const model::Plan& plan) {
  const int64_t length = plan.request.training.sequence_length;
  Section section("Serving from one device: weights, KV cache a token, and what fits");
  for (const model::ServingPlan& serving : plan.serving) {
    const char* name = serving.bytes_per_number == 4 ? "f32" : "bf16";
    section.Line(absl::StrCat(name, " weights"), HumanBytes(serving.memory.weights));
    section.Line(absl::StrCat(name, " KV a token"), HumanBytes(serving.kv_bytes_per_token),
                 Fitting(serving.sequences, length));
  }
  return section.Take();
}

std::string Shape(const std::optional<model::Blueprint>& b) {
  if (!b) return "not even the smallest";
  return absl::StrFormat("D %d, L %d, H %d, F %d", b->hidden_size, b->num_layers, b->num_heads,
                         b->ffn_hidden);
}

std::string Largest(const model::Plan& plan) {
  Section section(absl::StrFormat("Largest model of these proportions in %s of one %s",
                                  HumanBytes(plan.usable_memory),
                                  plan.request.hardware.name.substr(0, 20)));
  const auto line = [&](const std::string& name, const std::optional<model::Blueprint>& b) {
    section.Line(name,
                 b ? HumanQuantity(static_cast<double>(model::CountParameters(*b).Total())) : "-",
                 Shape(b));
  };
  const int64_t at_once = plan.request.training.batch_size;
  line("to train", plan.largest_to_train);
  line(absl::StrCat("to serve ", at_once, ", f32"), plan.serving[0].largest);
  line(absl::StrCat("to serve ", at_once, ", bf16"), plan.serving[1].largest);
  return section.Take();
}

}  // namespace

std::string PlanTable(const model::Plan& plan, const Throughput& throughput, bool utf8) {
  return absl::StrCat(Dials(plan.blueprint), PlanDiagram(plan.blueprint, plan.parameters, utf8),
                      Parameters(plan), Training(plan, throughput), TrainingMemory(plan),
                      Serving(plan), Largest(plan));
}

std::string NearestTable(std::span<const model::Blueprint> nearest, int64_t wanted) {
  Table table({">PARAMETERS", ">OFF", ">HIDDEN", ">LAYERS", ">HEADS", ">KV", ">HEAD", ">FFN"});
  for (const model::Blueprint& b : nearest) {
    const int64_t total = model::CountParameters(b).Total();
    table.Add(
        {HumanCount(total),
         absl::StrFormat("%+.2f %%",
                         100.0 * (static_cast<double>(total) / static_cast<double>(wanted) - 1)),
         absl::StrCat(b.hidden_size), absl::StrCat(b.num_layers), absl::StrCat(b.num_heads),
         absl::StrCat(b.num_kv_heads), absl::StrCat(b.head_dim), absl::StrCat(b.ffn_hidden)});
  }
  return absl::StrCat("Dials nearest to ", HumanCount(wanted),
                      " parameters, best first; the plan is that of the first\n", table.Render());
}

}  // namespace floe::cli
