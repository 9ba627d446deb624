// The description of the API says what the server does: its routes, and every field that it knows.
#include "services/gateway/http/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "gateway/openai/parse.h"
#include "gateway/schema/schema.h"
#include "services/gateway/http/routes.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

json Description() { return json::parse(OpenApiJson()); }

json Follow(const json& document, const json& schema) {
  if (!schema.contains("$ref")) return schema;
  return document.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1)));
}

// Fields with those of inner objects as `floe.cache`; arrays are not gone into.
void Collect(const json& document, const json& schema, const std::string& prefix,
             std::set<std::string>& fields) {
  const json resolved = Follow(document, schema);
  if (!resolved.contains("properties")) return;
  for (const auto& [name, field] : resolved["properties"].items()) {
    fields.insert(prefix + name);
    Collect(document, field, prefix + name + ".", fields);
  }
}

TEST(DescriptionTest, NamesEveryRouteAndNoOther) {
  std::set<std::string> served;
  for (const Route& route : Routes())
    served.insert(absl::StrCat(std::string(route.method), " ", std::string(route.path)));
  std::set<std::string> described;
  const json document = Description();
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      described.insert(absl::StrCat(absl::AsciiStrToUpper(method), " ", path));
    }
  }
  EXPECT_EQ(described, served);
}

TEST(DescriptionTest, NamesEveryFieldThatIsReadAndNoOther) {
  const json document = Description();
  using openai::Body;
  for (const auto& [kind, path] :
       std::map<Body, std::string>{{Body::kChat, "/v1/chat/completions"},
                                   {Body::kCompletion, "/v1/completions"},
                                   {Body::kEmbedding, "/v1/embeddings"}}) {
    const json body =
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
    std::set<std::string> described;
    Collect(document, body, "", described);
    const std::vector<std::string> known = openai::KnownFields(kind);
    EXPECT_EQ(described, std::set<std::string>(known.begin(), known.end())) << path;
  }
}

TEST(DescriptionTest, ReferencesLeadSomewhereAndSchemasAreSchemas) {
  const json document = Description();
  EXPECT_EQ(document["openapi"], "3.1.0");
  const json flat = document.flatten();
  for (const auto& [path, value] : flat.items()) {
    if (!path.ends_with("/$ref")) continue;
    EXPECT_TRUE(document.contains(json::json_pointer(value.get<std::string>().substr(1)))) << path;
  }
  for (const auto& [name, schema] : document["components"]["schemas"].items()) {
    // References lead out of a single schema.
    json alone = schema;
    const std::string text = alone.dump();
    if (text.find("$ref") != std::string::npos) continue;
    const auto compiled = Schema::Compile(text);
    EXPECT_TRUE(compiled.ok()) << name << ": " << compiled.status();
  }
}

TEST(DescriptionTest, RealAnswersHaveTheFieldsThatAreDescribed) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json answer = json::parse(
      client
          .Post("/v1/chat/completions",
                R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}],
                    "max_tokens": 4})")
          .body);
  const json document = Description();
  for (const char* schema : {"ChatAnswer", "Floe"}) {
    const json given = std::string_view(schema) == "Floe" ? answer["floe"] : answer;
    const json described = document["components"]["schemas"][schema]["properties"];
    for (const auto& [name, value] : given.items()) EXPECT_TRUE(described.contains(name)) << name;
    for (const auto& [name, value] : described.items()) EXPECT_TRUE(given.contains(name)) << name;
  }
}

TEST(DescriptionTest, VectorsHaveTheFieldsThatAreDescribed) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json answer =
      json::parse(client.Post("/v1/embeddings", R"({"model": "hamlet", "input": "Hello"})").body);
  const json described = Description()["components"]["schemas"]["EmbeddingAnswer"]["properties"];
  for (const auto& [name, value] : answer.items()) EXPECT_TRUE(described.contains(name)) << name;
  for (const auto& [name, value] : described.items()) EXPECT_TRUE(answer.contains(name)) << name;
}

TEST(DescriptionTest, IsServedToAnyoneAsAFileAndAsAPage) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer file = client.Get("/openapi.json", "");
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.headers.at("content-type"), "application/json");
  EXPECT_EQ(json::parse(file.body), Description());
  const HttpAnswer page = client.Get("/docs", "");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.headers.at("content-security-policy"), HasSubstr("default-src 'none'"));
  // Nothing is fetched from elsewhere.
  EXPECT_THAT(page.body, Not(HasSubstr("http://")));
  EXPECT_THAT(page.body, Not(HasSubstr("https://")));
  EXPECT_THAT(page.body, Not(HasSubstr("src=")));
  EXPECT_EQ(client.Post("/docs", "{}").status, 405);
}

}  // namespace
}  // namespace floe::gateway
