// From a schema's JSON to its nodes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include <nlohmann/json.hpp>

#include "gateway/schema/node.h"

namespace floe::gateway::schema {

struct Compiled {
  std::vector<std::unique_ptr<Node>> nodes;
  const Node* root = nullptr;
};

// See Schema::Compile.
absl::StatusOr<Compiled> CompileNodes(const nlohmann::json& schema);

}  // namespace floe::gateway::schema
