// What the HTTP server offers: the one list that requests are matched with and that the description
// of the API is checked against.
#pragma once

#include <span>
#include <string_view>

namespace floe::gateway {

enum class Endpoint { kChat, kCompletions, kEmbeddings, kModels, kModel, kOpenApi, kDocs };

struct Route {
  Endpoint endpoint;
  std::string_view method;
  std::string_view path;  // `{id}` at the end stands for one or more characters
};

std::span<const Route> Routes();

// The route of a path; null when there is none. For metrics and errors use its `path`: never what
// the client typed.
const Route* FindRoute(std::string_view path);

}  // namespace floe::gateway
