#include "cli/fleet/service_plan.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::cli {
namespace {

constexpr int kDrainSeconds = 15;

constexpr std::array<ServiceKind, 9> kServices = {{
    {"registry", true},
    {"tokenizer", true},
    {"trainer", true},
    {"alignment", true},
    {"billing", true},
    {"inference", false},
    {"retrieval", true},
    {"runner", false, false, 2},
    {"gateway", true},
}};

std::string Address(int port) { return absl::StrCat("127.0.0.1:", port); }

// The part of a command line that only this service has.
std::vector<std::string> OwnArguments(std::string_view name, const Layout& layout,
                                      const FleetFile& fleet, const MachineBudget& budget) {
  const auto address = [&](const char* service) {
    return Address(fleet.services.at(service).grpc);
  };
  const std::string threads = absl::StrCat(budget.threads);
  if (name == "registry") return {"--blob-dir", layout.blobs()};
  if (name == "trainer" || name == "alignment") {
    return {"--registry",       address("registry"),   "--billing",
            address("billing"), "--runner-memory-mib", absl::StrCat(budget.memory_mib)};
  }
  if (name == "tokenizer") {
    return {"--registry", address("registry"), "--billing", address("billing")};
  }
  if (name == "billing") return {"--default-price-book", layout.price_book()};
  if (name == "inference") {
    return {"--blob-dir",    layout.blobs(),
            "--cache-dir",   layout.cache(),
            "--threads",     threads,
            "--memory-mib",  absl::StrCat(budget.inference_memory_mib),
            "--billing",     address("billing"),
            "--journal-dir", layout.journals() / "inference"};
  }
  if (name == "retrieval") {
    return {"--registry", address("registry"), "--workers", address("inference")};
  }
  if (name == "runner") {
    return {"--queues",
            absl::StrCat("tokenizer=", address("tokenizer"), ",trainer=", address("trainer"),
                         ",alignment=", address("alignment")),
            "--workers",
            address("inference"),
            "--registry",
            address("registry"),
            "--work-dir",
            layout.work(),
            "--threads",
            threads};
  }
  return {"--http-listen",
          Address(fleet.http_port),
          "--registry",
          address("registry"),
          "--tokenizer",
          address("tokenizer"),
          "--trainer",
          address("trainer"),
          "--alignment",
          address("alignment"),
          "--workers",
          address("inference"),
          "--retrieval",
          address("retrieval"),
          "--bootstrap-key-file",
          layout.admin_key(),
          "--redis-url-file",
          layout.redis_url(),
          "--policy-file",
          layout.policy(),
          "--billing",
          address("billing"),
          "--journal-dir",
          layout.journals() / "gateway"};
}

}  // namespace

std::span<const ServiceKind> FleetServices() { return kServices; }

MachineBudget BudgetOf(int cores, int64_t memory_mib) {
  MachineBudget budget;
  budget.threads = std::max(1, cores);
  budget.inference_memory_mib = std::clamp<int64_t>(memory_mib / 2, 1024, 8192);
  budget.memory_mib = std::max<int64_t>(0, memory_mib);
  return budget;
}

std::vector<ProcessSpec> ServiceProcesses(const Layout& layout, const FleetFile& fleet,
                                          const MachineBudget& budget,
                                          const std::filesystem::path& programs) {
  std::vector<ProcessSpec> processes;
  for (const ServiceKind& kind : kServices) {
    const std::string name(kind.name);
    const ServicePorts& ports = fleet.services.at(name);
    ProcessSpec process{.name = name, .nice = kind.nice, .stop_grace_seconds = kDrainSeconds + 10};
    process.argv = {programs / absl::StrCat("floe-", name),
                    "--side-listen",
                    Address(ports.side),
                    "--tls-cert",
                    layout.certs() / absl::StrCat(name, ".pem"),
                    "--tls-key",
                    layout.certs() / absl::StrCat(name, ".key"),
                    "--tls-ca",
                    layout.certs() / "ca.pem",
                    "--drain-grace",
                    absl::StrCat(kDrainSeconds, "s")};
    const auto add = [&](std::initializer_list<std::string> words) {
      process.argv.insert(process.argv.end(), words);
    };
    if (kind.grpc) add({"--listen", Address(ports.grpc)});
    if (kind.database) add({"--database-url-file", layout.database_url(name)});
    for (auto& word : OwnArguments(kind.name, layout, fleet, budget)) {
      process.argv.push_back(std::move(word));
    }
    processes.push_back(std::move(process));
  }
  return processes;
}

}  // namespace floe::cli
