#include "trainer/distributed/rank_place.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::trainer {
namespace {

absl::StatusOr<int> Number(const std::string& name, const std::optional<std::string>& text,
                           int lowest, int highest) {
  int value = 0;
  if (!text || !absl::SimpleAtoi(*text, &value) || value < lowest || value > highest) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, " is ", text ? absl::StrCat("\"", *text, "\"") : "not set",
        "; processes that train together need a number from ", lowest, " to ", highest, " there"));
  }
  return value;
}

}  // namespace

absl::StatusOr<RankPlace> ReadRankPlace(
    const std::function<std::optional<std::string>(const std::string&)>& variable) {
  RankPlace place;
  const bool indexed = !variable("RANK") && variable("JOB_COMPLETION_INDEX");
  const std::string name = indexed ? "JOB_COMPLETION_INDEX" : "RANK";
  const auto size = variable("WORLD_SIZE"), rank = variable(name);
  if (!size && (!rank || indexed)) return place;  // an Indexed Job may be there for other reasons
  FLOE_ASSIGN_OR_RETURN(place.size, Number("WORLD_SIZE", size, 1, kMaxRanks));
  if (place.size == 1 && !rank) return place;
  FLOE_ASSIGN_OR_RETURN(place.rank, Number(name, rank, 0, place.size - 1));
  if (place.size == 1) return place;
  FLOE_ASSIGN_OR_RETURN(const int port, Number("MASTER_PORT", variable("MASTER_PORT"), 1, 65535));
  place.port = static_cast<uint16_t>(port);
  const auto address = variable("MASTER_ADDR");
  if (!address || address->empty()) {
    return absl::InvalidArgumentError(
        "MASTER_ADDR is not set; processes that train together need the address of rank 0 there");
  }
  place.address = *address;
  return place;
}

absl::StatusOr<RankPlace> RankPlaceOfEnvironment() {
  return ReadRankPlace([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

}  // namespace floe::trainer
