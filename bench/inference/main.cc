// floe-bench-inference: tokens a second of the CPU engine, prefill and decode at batch 1, 8 and 16,
// on a checkpoint of 29 million random parameters. Prints the rows of bench/README.md.
//
// The limit of prefill is the machine's GEMM peak, that of decode the time to read weights, keys
// and values once a step from memory, or the GEMM peak where that is less. The peer is Hugging
// Face's transformers on PyTorch, where $FLOE_BENCH_PYTHON (python3) can import both; it must say
// the same tokens.
#include <errno.h>
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "bench/inference/machine.h"
#include "bench/inference/workload.h"
#include "inference/engine/cpu_engine.h"
#include "inference/engine/kernels.h"
#include "model/accounting.h"
#include "model/checkpoint.h"

namespace floe::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kBatches[] = {1, 8, 16};
constexpr int kRounds = 5;

struct Speeds {
  double prefill = 0, decode = 0;  // tokens a second, the best of the rounds
};

struct Machine {
  double bandwidth = 0;
  std::optional<double> gemm;
};

Machine Best(const Machine& a, const Machine& b) {
  return {std::max(a.bandwidth, b.bandwidth), std::max(a.gemm, b.gemm)};
}

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// {name, prefill: {"1": tokens/s, …}, decode: {…}, greedy: [ids]}; nothing when it is not there.
std::optional<Json> RunPeer(const std::filesystem::path& checkpoint, int threads) {
  const char* python = getenv("FLOE_BENCH_PYTHON");
  std::string command = absl::StrCat(
      ShellQuoted(python == nullptr ? "python3" : python), " ", ShellQuoted(FLOE_BENCH_PEER), " ",
      ShellQuoted(checkpoint.string()), " ", threads, " ", kPromptTokens, " ", kDecodeSteps);
  for (const int batch : kBatches) absl::StrAppend(&command, " ", batch);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  if (pclose(pipe) != 0) return std::nullopt;
  Json answer = Json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return std::nullopt;
  return answer;
}

// Work of one prompt token: the head is computed for the last of a prompt only.
double PrefillFlops() {
  const model::Blueprint b = BenchBlueprint();
  const double head = 2.0 * static_cast<double>(b.vocab_size * b.hidden_size);
  return static_cast<double>(model::ForwardFlopsPerToken(b, kPromptTokens / 2)) - head +
         head / kPromptTokens;
}

Json PrefillLimit(const Machine& machine) {
  return machine.gemm ? Json(*machine.gemm / PrefillFlops()) : Json();
}

double DecodeLimit(const Machine& machine, int batch) {
  const model::Blueprint b = BenchBlueprint();
  const int64_t attended = kPromptTokens + kDecodeSteps / 2;
  const double bytes =
      static_cast<double>(model::EstimateServingMemory(b, batch, attended, 4).Total());
  const double by_memory = batch * machine.bandwidth / bytes;
  if (!machine.gemm) return by_memory;
  return std::min(by_memory,
                  *machine.gemm / static_cast<double>(model::ForwardFlopsPerToken(b, attended)));
}

Json Row(const std::string& work, double ours, const std::optional<Json>& peer, const char* kind,
         int batch, Json limit) {
  return {{"work", absl::StrCat(work, ", batch ", batch)},
          {"ours", ours},
          {"unit", "tokens/s"},
          {"peer", peer ? (*peer)[kind][absl::StrCat(batch)] : Json()},
          {"peer_name", peer ? (*peer)["name"] : Json()},
          {"limit", std::move(limit)}};
}

absl::StatusOr<Speeds> Measure(inference::Engine& engine, int batch, std::vector<int32_t>& greedy) {
  Speeds speeds;
  for (int round = 0; round < kRounds; ++round) {
    FLOE_ASSIGN_OR_RETURN(const double prefill, PrefillSeconds(engine, batch));
    FLOE_ASSIGN_OR_RETURN(Decoded decoded, Decode(engine, batch));
    speeds.prefill = std::max(speeds.prefill, batch * kPromptTokens / prefill);
    speeds.decode = std::max(speeds.decode, batch * kDecodeSteps / decoded.seconds);
    greedy = std::move(decoded.greedy);
  }
  return speeds;
}

absl::StatusOr<Json> MeasureAll(const std::filesystem::path& folder) {
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(folder / "checkpoint"));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        model::Checkpoint::Open(folder / "checkpoint"));
  FLOE_ASSIGN_OR_RETURN(const auto engine,
                        inference::CreateCpuEngine(checkpoint, {.num_threads = threads}));
  const auto measure_machine = [&] { return Machine{MemoryBandwidth(threads), GemmPeak(threads)}; };
  // Before and after: others may be at work on the machine at either time.
  Machine machine = measure_machine();
  std::vector<Speeds> ours;
  std::vector<int32_t> greedy;
  for (const int batch : kBatches) {
    FLOE_ASSIGN_OR_RETURN(const Speeds speeds, Measure(*engine, batch, greedy));
    ours.push_back(speeds);
  }
  machine = Best(machine, measure_machine());
  std::cerr << "kernels: " << inference::KernelTarget() << ", " << threads
            << " threads; memory: " << machine.bandwidth / 1e9
            << " GB/s; GEMM: " << machine.gemm.value_or(0) / 1e9 << " GFLOP/s\n";
  const std::optional<Json> peer = RunPeer(folder / "checkpoint", threads);
  if (peer && (*peer)["greedy"] != Json(greedy)) {
    return absl::InternalError(absl::StrCat("the peer says ", (*peer)["greedy"].dump(),
                                            ", ours is ", Json(greedy).dump()));
  }
  Json rows = Json::array();
  for (size_t i = 0; i < ours.size(); ++i) {
    rows.push_back(
        Row("prefill", ours[i].prefill, peer, "prefill", kBatches[i], PrefillLimit(machine)));
  }
  for (size_t i = 0; i < ours.size(); ++i) {
    rows.push_back(Row("decode", ours[i].decode, peer, "decode", kBatches[i],
                       DecodeLimit(machine, kBatches[i])));
  }
  return Json{{"rows", rows}};
}

absl::Status Run() {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  const absl::StatusOr<Json> rows = MeasureAll(folder.path());
  FLOE_RETURN_IF_ERROR(rows.status());
  std::cout << rows->dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main() {
  const absl::Status status = floe::bench::Run();
  if (status.ok()) return 0;
  std::cerr << "floe-bench-inference: " << status.message() << "\n";
  return 1;
}
