// The description of the API, as files that are compiled in.
#pragma once

#include <string_view>

namespace floe::gateway {

std::string_view OpenApiJson();  // openapi.json, OpenAPI 3.1
std::string_view DocsHtml();     // docs.html: a page that shows it; fetches nothing from elsewhere

}  // namespace floe::gateway
