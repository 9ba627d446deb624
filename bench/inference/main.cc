// floe-bench-inference: tokens a second of the CPU engine on random Llama-shaped checkpoints, in
// F32 and in 8 bits: one sequence decoding, 16 together, and the prefill of a prompt; and how long
// a checkpoint takes until it can be asked. Prints the rows of bench/README.md.
//
// Then what guesses of a draft model are worth. With --peer, llama.cpp's own benchmarks run on GGUF
// exports of the same weights, a round of theirs after a round of ours. The limit of prefill is the
// machine's GEMM peak, that of decoding the time to read weights, keys and values once a step from
// memory, or the GEMM peak where that is less.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "bench/inference/guesses.h"
#include "bench/inference/machine.h"
#include "bench/inference/peer_llama.h"
#include "bench/inference/workload.h"
#include "bench/program/program.h"
#include "inference/engine/cpu_engine.h"
#include "inference/engine/kernels.h"
#include "model/accounting.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/quantization.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string peer;               // folder of llama.cpp's programs; empty: none
  std::string models;             // names; empty: all
  std::vector<std::string> pair;  // target, draft and text; empty: no trained pair is measured
  int rounds = 3;
  std::string kv = "f16";  // keys and values: f16, as llama.cpp keeps them, or f32
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
};

// Tokens a second, the best of the rounds.
struct Speeds {
  double prefill = 0, decode = 0, batch = 0;

  void Take(const Speeds& other) {
    prefill = std::max(prefill, other.prefill);
    decode = std::max(decode, other.decode);
    batch = std::max(batch, other.batch);
  }
};

struct Machine {
  double bandwidth = 0;
  std::optional<double> gemm;

  void Take(const Machine& other) {
    bandwidth = std::max(bandwidth, other.bandwidth);
    gemm = std::max(gemm, other.gemm);
  }
};

struct Measured {
  double load = 0;  // seconds, the best of the rounds
  Speeds ours, peer;
  std::string peer_name;
  Machine machine;
};

// The first prompt is not counted: it is the first to touch keys and values. The peer warms up too.
absl::StatusOr<Speeds> Measure(inference::Engine& engine) {
  FLOE_RETURN_IF_ERROR(PrefillSeconds(engine).status());
  FLOE_ASSIGN_OR_RETURN(const double prefill, PrefillSeconds(engine));
  FLOE_ASSIGN_OR_RETURN(const double decode, DecodeSeconds(engine, 1, 1));
  FLOE_ASSIGN_OR_RETURN(const double batch, DecodeSeconds(engine, kBatch, kBatchPrompt));
  return Speeds{kPrefillTokens / prefill, kDecodeSteps / decode, kBatch * kDecodeSteps / batch};
}

inference::KvType KvTypeOf(const Options& options) {
  return options.kv == "f16" ? inference::KvType::kF16 : inference::KvType::kF32;
}

absl::StatusOr<Measured> MeasureRounds(const fs::path& folder, const Options& options) {
  Measured measured;
  const fs::path gguf = folder.string() + ".gguf";
  if (!options.peer.empty()) {
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint, model::Checkpoint::Open(folder));
    FLOE_RETURN_IF_ERROR(model::WriteGguf(gguf, checkpoint, {.pre = "gpt-2"}, "bench"));
  }
  for (int round = 0; round < options.rounds; ++round) {
    const double start = Seconds();
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                          model::Checkpoint::Open(folder, /*verify=*/false));
    FLOE_ASSIGN_OR_RETURN(const auto engine,
                          inference::CreateCpuEngine(checkpoint, {.num_threads = options.threads,
                                                                  .max_step_tokens = 512,
                                                                  .kv_type = KvTypeOf(options)}));
    const double load = Seconds() - start;
    measured.load = round == 0 ? load : std::min(measured.load, load);
    FLOE_ASSIGN_OR_RETURN(const Speeds ours, Measure(*engine));
    measured.ours.Take(ours);
    measured.machine.Take({MemoryBandwidth(options.threads), GemmPeak(options.threads)});
    if (options.peer.empty()) continue;
    FLOE_ASSIGN_OR_RETURN(const PeerSpeeds peer, RunPeer(options.peer, gguf, options.threads));
    measured.peer.Take({peer.prefill, peer.decode, peer.batch});
    measured.peer_name = peer.name;
  }
  return measured;
}

// Work of one prompt token: the head is computed for the last of a prompt only.
double PrefillFlops(const model::Blueprint& b) {
  const double head = 2.0 * static_cast<double>(b.vocab_size * b.hidden_size);
  return static_cast<double>(model::ForwardFlopsPerToken(b, kPrefillTokens / 2)) - head +
         head / kPrefillTokens;
}

Json PrefillLimit(const model::Blueprint& b, const Machine& machine) {
  return machine.gemm ? Json(*machine.gemm / PrefillFlops(b)) : Json();
}

// What decoding reads: all weights, and so much for a number of a key or value.
struct Bytes {
  int64_t weights = 0;
  int64_t kv_number = 0;
};

double DecodeLimit(const model::Blueprint& b, const Machine& machine, const Bytes& bytes_read,
                   int sequences, int prompt) {
  const int64_t attended = prompt + kDecodeSteps / 2;
  const auto bytes = static_cast<double>(
      bytes_read.weights +
      model::EstimateServingMemory(b, sequences, attended, bytes_read.kv_number).kv_cache);
  const double by_memory = sequences * machine.bandwidth / bytes;
  if (!machine.gemm) return by_memory;
  return std::min(by_memory,
                  *machine.gemm / static_cast<double>(model::ForwardFlopsPerToken(b, attended)));
}

void AddRows(const ServedModel& served, const std::string& format, const Measured& m,
             const Bytes& bytes, Json& rows) {
  const auto add = [&](const std::string& work, double ours, double peer, Json limit,
                       const char* unit) {
    rows.push_back({{"work", absl::StrCat(served.name, " ", format, ", ", work)},
                    {"ours", ours},
                    {"unit", unit},
                    {"peer", peer > 0 ? Json(peer) : Json()},
                    {"peer_name", peer > 0 ? Json(m.peer_name) : Json()},
                    {"limit", std::move(limit)}});
  };
  const model::Blueprint& b = served.blueprint;
  add("decode", m.ours.decode, m.peer.decode, DecodeLimit(b, m.machine, bytes, 1, 1), "tokens/s");
  add(absl::StrCat("prefill ", kPrefillTokens), m.ours.prefill, m.peer.prefill,
      PrefillLimit(b, m.machine), "tokens/s");
  add(absl::StrCat(kBatch, " sequences"), m.ours.batch, m.peer.batch,
      DecodeLimit(b, m.machine, bytes, kBatch, kBatchPrompt), "tokens/s");
  add("load", m.load, 0, Json(), "s");
}

absl::StatusOr<Json> MeasureAll(const fs::path& scratch, const Options& options) {
  Json rows = Json::array();
  for (const ServedModel& served : ServedModels()) {
    if (!options.models.empty() && options.models.find(served.name) == std::string::npos) continue;
    const fs::path wide = scratch / served.name, narrow = scratch / (served.name + "-int8");
    FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(served.blueprint, wide));
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint source, model::Checkpoint::Open(wide));
    FLOE_RETURN_IF_ERROR(model::QuantizeCheckpoint(source, narrow).status());
    for (const auto& [format, folder] : {std::pair("F32", wide), {"8-bit", narrow}}) {
      FLOE_ASSIGN_OR_RETURN(const Measured measured, MeasureRounds(folder, options));
      const Bytes bytes{static_cast<int64_t>(fs::file_size(folder / "model.safetensors")),
                        inference::KvNumberBytes(KvTypeOf(options))};
      std::cerr << served.name << " " << format << ": " << inference::KernelTarget() << ", "
                << options.threads << " threads; keys and values " << options.kv << "; memory "
                << measured.machine.bandwidth / 1e9 << " GB/s; GEMM "
                << measured.machine.gemm.value_or(0) / 1e9 << " GFLOP/s\n";
      AddRows(served, format, measured, bytes, rows);
    }
    FLOE_ASSIGN_OR_RETURN(const Json guesses,
                          MeasureGuesses(served, scratch, options.threads, options.rounds));
    rows.insert(rows.end(), guesses.begin(), guesses.end());
  }
  return rows;
}

absl::Status Run(const Options& options) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  FLOE_ASSIGN_OR_RETURN(const Json rows,
                        options.pair.empty()
                            ? MeasureAll(folder.path(), options)
                            : MeasureTrainedPair(options.pair[0], options.pair[1], options.pair[2],
                                                 options.threads, options.rounds));
  std::cout << Json{{"rows", rows}}.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  floe::bench::Options options;
  CLI::App app("Tokens a second of the CPU engine", "floe-bench-inference");
  app.add_option("--peer", options.peer, "Folder of llama-bench and llama-batched-bench");
  app.add_option("--models", options.models, "Which: 135M, 15M [both]");
  app.add_option("--pair", options.pair,
                 "Instead: what guesses are worth to two trained checkpoints of one tokenizer, "
                 "with prompts out of a text")
      ->type_name("TARGET DRAFT TEXT")
      ->expected(3);
  app.add_option("--rounds", options.rounds, "The best of so many")->check(CLI::Range(1, 100));
  app.add_option("--kv", options.kv, "Keys and values: f16, as llama.cpp keeps them, or f32")
      ->check(CLI::IsMember({"f16", "f32"}))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Of ours and of the peer")
      ->check(CLI::Range(1, 1024));
  return floe::bench::Main(app, argc, argv, [&] { return floe::bench::Run(options); });
}
