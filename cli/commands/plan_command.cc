// floe plan: what a model is and costs, before a GPU is bought. Needs no fleet; where one answers,
// what it measured replaces assumptions.
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/commands/past_runs.h"
#include "cli/commands/plan_dials.h"
#include "cli/plan/hardware_file.h"
#include "cli/plan/plan_json.h"
#include "cli/plan/plan_table.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

struct PlanFlags {
  DialFlags dials;
  std::optional<int64_t> batch_size;
  int64_t sequence_length = 0;
  std::string tokens;
  std::string hardware, hardware_file, memory, price;
  std::optional<double> utilization;
  double memory_share = 0.9;
  int64_t devices = 1;
  std::string precision, optimizer;
  bool activation_checkpointing = false;
  bool shard_optimizer = false;
  bool offline = false;
};

// A preset or a file, with figures of its own: what a CPU trains is planned for a CPU.
absl::StatusOr<model::Hardware> HardwareOf(Session& session, const PlanFlags& flags) {
  model::Hardware hardware;
  if (!flags.hardware_file.empty()) {
    FLOE_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(session.folder / flags.hardware_file, 1 << 20));
    auto parsed = ParseHardware(text);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flags.hardware_file, ": ", parsed.status().message()));
    }
    hardware = *std::move(parsed);
  } else {
    const std::string fallback = flags.dials.job.empty() ? "h100-80gb" : "cpu";
    auto preset = model::HardwarePreset(flags.hardware.empty() ? fallback : flags.hardware);
    if (!preset.ok()) return absl::InvalidArgumentError(preset.status().message());
    hardware = *std::move(preset);
  }
  if (!flags.memory.empty()) {
    FLOE_ASSIGN_OR_RETURN(hardware.memory_bytes, ParseMemory(flags.memory));
  }
  if (!flags.price.empty()) {
    FLOE_ASSIGN_OR_RETURN(hardware.price_microdollars_per_hour, ParseDollars(flags.price));
  }
  if (flags.utilization) hardware.utilization = *flags.utilization;
  return hardware;
}

absl::StatusOr<model::PlanRequest> RequestOf(Session& session, const PlanFlags& flags,
                                             const PlannedDials& planned) {
  model::PlanRequest request;
  FLOE_ASSIGN_OR_RETURN(request.hardware, HardwareOf(session, flags));
  request.memory_share = flags.memory_share;
  request.tokens = planned.tokens;
  if (!flags.tokens.empty()) {
    FLOE_ASSIGN_OR_RETURN(request.tokens, ParseQuantity(flags.tokens));
  }
  model::TrainingMemoryOptions& training = request.training;
  if (planned.run) {
    training = *planned.run;
  } else {
    training.precision = request.hardware.BestPrecision();
  }
  if (flags.batch_size) training.batch_size = *flags.batch_size;
  if (flags.sequence_length > 0) training.sequence_length = flags.sequence_length;
  if (flags.precision == "f32") training.precision = model::TrainingPrecision::kF32;
  if (flags.precision == "bf16") training.precision = model::TrainingPrecision::kBf16Mixed;
  if (flags.optimizer == "muon") training.optimizer = model::OptimizerKind::kMuon;
  if (flags.optimizer == "adamw") training.optimizer = model::OptimizerKind::kAdamW;
  if (flags.activation_checkpointing) training.activation_checkpointing = true;
  training.devices = flags.devices;
  training.shard_optimizer = flags.shard_optimizer;
  return request;
}

// Box-drawing characters where the locale says that they can be shown.
bool ShowsUtf8(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = environment(name);
    if (value.empty()) continue;
    const std::string lower = absl::AsciiStrToLower(value);
    return absl::StrContains(lower, "utf-8") || absl::StrContains(lower, "utf8");
  }
  return false;
}

absl::Status Plan(Session& session, const PlanFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const PlannedDials planned, DialsOf(session, flags.dials, flags.offline));
  FLOE_ASSIGN_OR_RETURN(model::PlanRequest request, RequestOf(session, flags, planned));
  Throughput throughput;
  if (flags.offline) {
    throughput.why = "--offline: no past run was asked for";
  } else if (flags.utilization) {
    throughput.why = "--utilization was given";
  } else {
    throughput = PastThroughput(session, request.hardware);
    request.measured_flops = throughput.FlopsPerSecond();
  }
  FLOE_ASSIGN_OR_RETURN(const model::Plan plan, model::MakePlan(planned.blueprint, request));
  if (session.json) {
    session.PrintJson(PlanJson(plan, throughput, planned.nearest));
    return absl::OkStatus();
  }
  if (planned.target > 0) session.out() << NearestTable(planned.nearest, planned.target);
  session.out() << PlanTable(plan, throughput, ShowsUtf8(session.environment));
  return absl::OkStatus();
}

void AddRunOptions(CLI::App& command, PlanFlags& flags) {
  command
      .add_option("--batch-size", flags.batch_size,
                  "Sequences a device trains on, or serves, at once [8, or the job file's]")
      ->check(CLI::PositiveNumber);
  command.add_option("--sequence-length", flags.sequence_length, "Tokens of each [the context]")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--tokens", flags.tokens,
                     "Tokens to train on, such as 300B [20 a parameter, or the job file's]");
  command
      .add_option("--precision", flags.precision,
                  "f32, or bf16 mixed [what is faster there, or the job file's]")
      ->check(CLI::IsMember({"f32", "bf16"}));
  command.add_option("--optimizer", flags.optimizer, "adamw or muon [adamw, or the job file's]")
      ->check(CLI::IsMember({"adamw", "muon"}));
  command.add_flag("--activation-checkpointing", flags.activation_checkpointing,
                   "Keep what enters each layer, compute the rest again");
  command.add_option("--devices", flags.devices, "Data-parallel devices")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--shard-optimizer", flags.shard_optimizer,
                   "ZeRO-1: each device holds its part of the optimizer's state");
}

void AddHardwareOptions(CLI::App& command, PlanFlags& flags) {
  const std::string names = absl::StrJoin(
      model::HardwareNames(), ", ",
      [](std::string* out, std::string_view name) { out->append(name.data(), name.size()); });
  command.add_option("--hardware", flags.hardware,
                     absl::StrCat("By name: ", names, " [h100-80gb; of a job file: cpu]"));
  command
      .add_option("--hardware-file", flags.hardware_file,
                  "Any other, in YAML: like, name, device, peak_tflops_f32, peak_tflops_bf16, "
                  "memory_gb, price_per_hour, utilization")
      ->excludes("--hardware");
  command.add_option("--memory", flags.memory, "Of a device: 80GB, 24GiB [the hardware's]");
  command.add_option("--price-per-hour", flags.price, "Dollars of a device [the hardware's]");
  command.add_option("--utilization", flags.utilization,
                     "Share of the peak that training reaches [measured, else the hardware's]");
  command
      .add_option("--memory-share", flags.memory_share,
                  "Of the memory, what weights, states and caches may take")
      ->capture_default_str();
  command.add_flag("--offline", flags.offline,
                   "Assume; do not ask the fleet for what past runs measured");
}

}  // namespace

void AddPlanCommand(CommandLine& line) {
  auto& flags = line.Keep<PlanFlags>();
  CLI::App* command = AddCommand(
      line.app(), "plan",
      "Size a model before it is trained: parameters, FLOPs, memory, time, money, what fits",
      "  floe plan --preset classic --ffn gated\n"
      "  floe plan --preset llama-3-8b --hardware a100-80gb --devices 64 --shard-optimizer \\\n"
      "            --tokens 1T --batch-size 1 --activation-checkpointing\n"
      "  floe plan --target-parameters 7e9                  the dials nearest to a size\n"
      "  floe plan --preset llama-3-8b --target-parameters 3B --memory 24GB\n"
      "  floe plan --vocab-size 4096 --hidden-size 256 --num-layers 6 --num-heads 4 \\\n"
      "            --num-kv-heads 2 --head-dim 64 --ffn-hidden 768 --context 256\n"
      "  floe plan --preset gpt2 --num-layers 24            a preset with one dial turned\n"
      "  floe plan --job job.yaml                           what a training job will make and "
      "take\n"
      "  floe plan --preset llama-3-8b --json | jq .training.cost_microdollars\n\n"
      "Needs no fleet. Where one answers, the throughput of its past runs on like hardware\n"
      "replaces the assumed utilization, and the plan names those jobs.");
  AddDialOptions(*command, flags.dials);
  AddRunOptions(*command, flags);
  AddHardwareOptions(*command, flags);
  line.OnRun(command, [&flags](Session& session) { return Plan(session, flags); });
}

}  // namespace floe::cli
