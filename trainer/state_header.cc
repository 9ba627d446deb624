#include "trainer/state_header.h"

#include <climits>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::json;

absl::Status Wrong(std::string_view name, std::string_view must, const Json& value) {
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(name), " must be ", AbslView(must), " and is ", ShownJson(value)));
}

// A loss that ran away is saved too, and JSON has no number for it.
constexpr std::pair<std::string_view, double> kNoNumbers[] = {
    {"nan", std::numeric_limits<double>::quiet_NaN()},
    {"inf", std::numeric_limits<double>::infinity()},
    {"-inf", -std::numeric_limits<double>::infinity()}};

nlohmann::ordered_json NumberJson(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}

std::optional<double> NumberOf(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_null()) return kNoNumbers[0].second;  // what earlier versions wrote for all three
  for (const auto& [text, number] : kNoNumbers) {
    if (value.is_string() && value.get_ref<const std::string&>() == text) return number;
  }
  return std::nullopt;
}

// The members of a header one by one: the first mistake stays, and what is wrong changes nothing.
class Members {
 public:
  enum Presence { kRequired, kAdded };  // kAdded: earlier versions have not written it

  explicit Members(const Json& object) : object_(object) {}

  template <typename Count>
  void Read(std::string_view name, Count& count, int64_t most, Presence presence = kRequired) {
    const Json* value = Find(name, presence);
    if (value == nullptr) return;
    if (!value->is_number_unsigned() || value->get<uint64_t>() > static_cast<uint64_t>(most)) {
      return Fail(Wrong(name, absl::StrCat("a whole number from 0 to ", most), *value));
    }
    count = static_cast<Count>(value->get<uint64_t>());
  }
  void Read(std::string_view name, double& number, Presence presence = kRequired) {
    const Json* value = Find(name, presence);
    if (value == nullptr) return;
    const std::optional<double> read = NumberOf(*value);
    if (!read) return Fail(Wrong(name, "a number", *value));
    number = *read;
  }
  void Read(std::string_view name, std::string& text) {
    const Json* value = Find(name, kRequired);
    if (value == nullptr) return;
    if (!value->is_string()) return Fail(Wrong(name, "a text", *value));
    text = value->get<std::string>();
  }
  void Read(std::string_view name, Rng::State& words) {
    const Json* value = Find(name, kRequired);
    if (value == nullptr) return;
    Rng::State read = {};
    bool good = value->is_array() && value->size() == read.size();
    for (size_t i = 0; good && i < read.size(); ++i) {
      good = (*value)[i].is_number_unsigned();
      if (good) read[i] = (*value)[i].get<uint64_t>();
    }
    // From four zeros the generator gives zeros for ever.
    if (!good || read == Rng::State{}) {
      return Fail(Wrong(name, "four whole numbers from 0 on, not all of them 0", *value));
    }
    words = read;
  }
  void Read(std::string_view name, std::vector<std::pair<std::string, uint64_t>>& tensors) {
    const Json* value = Find(name, kRequired);
    if (value == nullptr) return;
    if (!value->is_array()) return Fail(Wrong(name, "a list of [name, length]", *value));
    std::set<std::string> seen;
    for (const Json& entry : *value) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
          !entry[1].is_number_unsigned()) {
        return Fail(Wrong("each of tensors", "[name, length]", entry));
      }
      auto tensor = entry[0].get<std::string>();
      if (!seen.insert(tensor).second) return Fail(Wrong("each of tensors", "there once", entry));
      tensors.emplace_back(std::move(tensor), entry[1].get<uint64_t>());
    }
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(std::string_view name, Presence presence) {
    const auto found = object_.find(std::string(name));
    if (found != object_.end()) return &*found;
    if (presence == kRequired) {
      Fail(absl::InvalidArgumentError(absl::StrCat(AbslView(name), " is missing")));
    }
    return nullptr;
  }
  void Fail(absl::Status status) { status_.Update(std::move(status)); }

  const Json& object_;
  absl::Status status_;
};

}  // namespace

std::string StateHeaderJson(const StateHeader& header) {
  const TrainingPosition& position = header.position;
  nlohmann::ordered_json json = {{"step", position.step},
                                 {"epoch", position.cursor.epoch},
                                 {"position", position.cursor.position},
                                 {"rng", position.cursor.rng},
                                 {"tokens", position.tokens},
                                 {"threads", position.threads},
                                 {"processes", position.processes},
                                 {"run", position.run},
                                 {"last_loss", NumberJson(position.last_loss)},
                                 {"held_out", NumberJson(position.held_out)},
                                 {"seconds", NumberJson(position.seconds)},
                                 {"best_held_out", NumberJson(position.best_held_out)},
                                 {"best_step", position.best_step},
                                 {"worse_in_a_row", position.worse_in_a_row},
                                 {"mean_loss", NumberJson(position.mean_loss)},
                                 {"rewinds", position.rewinds}};
  auto list = nlohmann::ordered_json::array();
  for (const auto& [name, length] : header.tensors) list.push_back({name, length});
  json["tensors"] = std::move(list);
  return json.dump();
}

absl::StatusOr<StateHeader> ParseStateHeader(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(const Json root, ParseStrictJson(json, "the header"));
  if (!root.is_object()) return absl::InvalidArgumentError("the header is no JSON object");
  StateHeader header;
  TrainingPosition& position = header.position;
  Members members(root);
  members.Read("step", position.step, INT64_MAX);
  members.Read("epoch", position.cursor.epoch, INT64_MAX);
  members.Read("position", position.cursor.position, INT64_MAX);
  members.Read("rng", position.cursor.rng);
  members.Read("tokens", position.tokens, INT64_MAX);
  members.Read("threads", position.threads, INT_MAX);
  members.Read("processes", position.processes, INT_MAX, Members::kAdded);
  members.Read("run", position.run);
  members.Read("last_loss", position.last_loss);
  members.Read("held_out", position.held_out);
  members.Read("seconds", position.seconds);
  members.Read("best_held_out", position.best_held_out, Members::kAdded);
  members.Read("best_step", position.best_step, INT64_MAX, Members::kAdded);
  members.Read("worse_in_a_row", position.worse_in_a_row, INT64_MAX, Members::kAdded);
  members.Read("mean_loss", position.mean_loss, Members::kAdded);
  members.Read("rewinds", position.rewinds, INT64_MAX, Members::kAdded);
  members.Read("tensors", header.tensors);
  if (!members.status().ok()) return members.status();
  return header;
}

}  // namespace floe::trainer
