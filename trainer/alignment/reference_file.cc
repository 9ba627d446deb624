#include "trainer/alignment/reference_file.h"

#include <algorithm>
#include <cmath>

#include "nlohmann/json.hpp"

#include "base/files.h"

namespace floe::trainer {
namespace {

bool AllFinite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

absl::Status WriteReference(const std::filesystem::path& path, const std::string& key,
                            const ReferenceLogProbabilities& values) {
  // The JSON library writes a double so that it reads back to the same bits.
  const nlohmann::json json = {
      {"key", key}, {"chosen", values.chosen}, {"rejected", values.rejected}};
  return WriteFileAtomically(path, json.dump());
}

absl::StatusOr<std::optional<ReferenceLogProbabilities>> ReadReference(
    const std::filesystem::path& path, const std::string& key, size_t pairs) {
  const auto text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  try {
    const auto json = nlohmann::json::parse(*text);
    if (json.at("key") != key) return std::nullopt;
    ReferenceLogProbabilities values;
    json.at("chosen").get_to(values.chosen);
    json.at("rejected").get_to(values.rejected);
    if (values.chosen.size() != pairs || values.rejected.size() != pairs) return std::nullopt;
    if (!AllFinite(values.chosen) || !AllFinite(values.rejected)) return std::nullopt;
    return values;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // cut short or altered: computed again
  }
}

}  // namespace floe::trainer
