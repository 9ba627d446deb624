#include "trainer/state_store.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

constexpr std::string_view kPrefix = "state-";
constexpr std::string_view kSuffix = ".floe";

}  // namespace

std::vector<int64_t> StepsToDrop(const std::vector<int64_t>& steps, const Retention& retention) {
  std::vector<int64_t> dropped;
  const auto above_base = std::upper_bound(steps.begin(), steps.end(), retention.base);
  const int64_t base = above_base == steps.begin() ? -1 : *std::prev(above_base);
  const auto newest = static_cast<size_t>(retention.last);
  for (size_t i = 0; i + newest < steps.size(); ++i) {
    const bool milestone = retention.every > 0 && steps[i] % retention.every == 0;
    const bool wanted = steps[i] == retention.best || steps[i] == base;
    if (!milestone && !wanted) dropped.push_back(steps[i]);
  }
  return dropped;
}

absl::StatusOr<StateStore> StateStore::Open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot make " + folder.string());
  return StateStore(folder);
}

std::filesystem::path StateStore::PathOf(int64_t step) const {
  return folder_ / absl::StrFormat("%s%012d%s", AbslView(kPrefix), step, AbslView(kSuffix));
}

std::vector<int64_t> StateStore::Steps() const {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    int64_t step = 0;
    const std::string_view digits = std::string_view(name).substr(
        kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    if (absl::SimpleAtoi(AbslView(digits), &step)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::Status StateStore::Save(const TrainingPosition& position,
                              const std::vector<StateTensor>& tensors, const Retention& retention) {
  FLOE_RETURN_IF_ERROR(WriteStateFile(PathOf(position.step), position, tensors));
  for (const int64_t step : StepsToDrop(Steps(), retention)) {
    std::error_code ignored;  // one state too many does no harm
    std::filesystem::remove(PathOf(step), ignored);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<StateFile>> StateStore::LoadNewest(
    const std::function<void(const absl::Status&)>& on_damage, int64_t last) const {
  std::vector<int64_t> steps = Steps();
  std::erase_if(steps, [&](int64_t step) { return step > last; });
  absl::Status newest;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    auto state = StateFile::Open(PathOf(*step));
    if (state.ok()) return std::optional<StateFile>(*std::move(state));
    if (on_damage) on_damage(state.status());
    if (newest.ok()) newest = state.status();
  }
  if (newest.ok()) return std::optional<StateFile>();
  return absl::Status(newest.code(),
                      absl::StrCat(newest.message(), "; no other state is whole: delete ",
                                   folder_.string(), " to train from the start"));
}

}  // namespace floe::trainer
