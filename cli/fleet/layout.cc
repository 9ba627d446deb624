#include "cli/fleet/layout.h"

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/view.h"

namespace floe::cli {

Layout::Layout(const std::filesystem::path& root)
    : root_(std::filesystem::absolute(root).lexically_normal()) {
  if (!root_.has_filename()) root_ = root_.parent_path();  // `dir/` is `dir`
}

std::filesystem::path Layout::log(std::string_view process) const {
  return logs() / absl::StrCat(AbslView(process), ".log");
}

std::filesystem::path Layout::database_url(std::string_view service) const {
  return postgres() / absl::StrCat(AbslView(service), ".url");
}

std::string Layout::short_id() const { return Sha256::Hex(root_.string()).substr(0, 8); }

std::filesystem::path FindFleetFolder(const std::filesystem::path& from) {
  std::error_code ignored;  // a folder that cannot be looked into holds no fleet of ours
  for (std::filesystem::path folder = std::filesystem::absolute(from);;
       folder = folder.parent_path()) {
    const std::filesystem::path candidate = folder / ".floe";
    if (std::filesystem::exists(candidate / "fleet.json", ignored)) return candidate;
    if (folder == folder.root_path()) return {};
  }
}

}  // namespace floe::cli
