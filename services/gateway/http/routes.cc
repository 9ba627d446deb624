#include "services/gateway/http/routes.h"

#include <array>

namespace floe::gateway {
namespace {

constexpr std::array<Route, 7> kRoutes = {{
    {Endpoint::kChat, "POST", "/v1/chat/completions"},
    {Endpoint::kCompletions, "POST", "/v1/completions"},
    {Endpoint::kEmbeddings, "POST", "/v1/embeddings"},
    {Endpoint::kModels, "GET", "/v1/models"},
    {Endpoint::kModel, "GET", "/v1/models/{id}"},
    {Endpoint::kOpenApi, "GET", "/openapi.json"},
    {Endpoint::kDocs, "GET", "/docs"},
}};
constexpr std::string_view kId = "{id}";

}  // namespace

std::span<const Route> Routes() { return kRoutes; }

const Route* FindRoute(std::string_view path) {
  for (const Route& route : kRoutes) {
    if (route.path == path) return &route;
    if (!route.path.ends_with(kId)) continue;
    const std::string_view stem = route.path.substr(0, route.path.size() - kId.size());
    if (path.size() > stem.size() && path.starts_with(stem)) return &route;
  }
  return nullptr;
}

}  // namespace floe::gateway
