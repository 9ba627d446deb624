// Resources as JSON for programs: the contract's field names, numbers as numbers, times in RFC
// 3339.
#pragma once

#include <string>

#include "absl/time/time.h"
#include <google/protobuf/timestamp.pb.h>
#include <nlohmann/json.hpp>

#include "floe/gateway/v1/gateway.pb.h"
#include "floe/jobs/v1/jobs.pb.h"
#include "floe/registry/v1/registry.pb.h"

namespace floe::cli {

// UnixEpoch when unset.
absl::Time TimeOf(const google::protobuf::Timestamp& time);
absl::Duration CoreTimeOf(const jobs::v1::Usage& used);

nlohmann::ordered_json ToJson(const registry::v1::Dataset& dataset);
nlohmann::ordered_json ToJson(const registry::v1::Tokenizer& tokenizer);
nlohmann::ordered_json ToJson(const registry::v1::Model& model);
nlohmann::ordered_json ToJson(const registry::v1::ModelVersion& version);
nlohmann::ordered_json ToJson(const registry::v1::Alias& alias);
nlohmann::ordered_json ToJson(const registry::v1::Evaluation& evaluation);
nlohmann::ordered_json ToJson(const registry::v1::GatePolicy& policy);
nlohmann::ordered_json ToJson(const jobs::v1::Job& job);
nlohmann::ordered_json ToJson(const jobs::v1::JobEvent& event);
nlohmann::ordered_json ToJson(const jobs::v1::Attempt& attempt);
nlohmann::ordered_json ToJson(const gateway::v1::Key& key);

// An array of them.
template <typename Resources>
nlohmann::ordered_json ToJsonArray(const Resources& resources) {
  auto array = nlohmann::ordered_json::array();
  for (const auto& resource : resources) array.push_back(ToJson(resource));
  return array;
}

}  // namespace floe::cli
