// Where a fleet on one machine keeps its things: one folder, `.floe/` unless told otherwise.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace floe::cli {

// Paths only; nothing is made or read. A value, cheap to copy.
class Layout {
 public:
  // `root` is the fleet's folder; kept as an absolute path.
  explicit Layout(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path fleet_file() const { return root_ / "fleet.json"; }
  std::filesystem::path admin_key() const { return root_ / "admin.key"; }
  std::filesystem::path certs() const { return root_ / "certs"; }
  std::filesystem::path blobs() const { return root_ / "blobs"; }
  std::filesystem::path cache() const { return root_ / "cache"; }
  std::filesystem::path work() const { return root_ / "work"; }
  // What gateways and workers have to tell billing; a folder each.
  std::filesystem::path journals() const { return root_ / "journals"; }
  // The price book of the fleet's first day.
  std::filesystem::path price_book() const { return root_ / "prices.yaml"; }
  // There while a backup is being restored: what is here is not whole.
  std::filesystem::path restoring() const { return root_ / "restoring"; }
  std::filesystem::path logs() const { return root_ / "logs"; }
  std::filesystem::path log(std::string_view process) const;
  std::filesystem::path run() const { return root_ / "run"; }
  // Held (flock) by `floe up` and `floe down` while they work, so that only one does.
  std::filesystem::path command_lock() const { return run() / "command.lock"; }
  // Held (flock) by the supervisor as long as it lives; its content is the supervisor's pid.
  std::filesystem::path supervisor_lock() const { return run() / "supervisor.lock"; }
  // What the supervisor knows of its processes; rewritten at every change.
  std::filesystem::path state_file() const { return run() / "state.json"; }
  std::filesystem::path postgres() const { return root_ / "postgres"; }
  // The database's files, or a link to them where the user postgres cannot enter this folder.
  std::filesystem::path postgres_data() const { return postgres() / "data"; }
  // The connection string of one service; a secret.
  std::filesystem::path database_url(std::string_view service) const;
  // Where Redis is; for the services that use it.
  std::filesystem::path redis_url() const { return run() / "redis.url"; }
  // What the gateway allows; written once, the person's to edit.
  std::filesystem::path policy() const { return root_ / "policy.yaml"; }
  // Eight hexadecimal characters that tell this fleet's folder from others on this machine.
  std::string short_id() const;

 private:
  std::filesystem::path root_;
};

// The nearest `.floe` with a fleet.json, from `from` upward; empty when there is none.
std::filesystem::path FindFleetFolder(const std::filesystem::path& from);

}  // namespace floe::cli
