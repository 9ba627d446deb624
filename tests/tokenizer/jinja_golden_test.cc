// What Jinja2 itself wrote (chat_templates/make_golden.py), and what this engine makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "nlohmann/json.hpp"

#include "base/files.h"
#include "tokenizer/jinja/json_value.h"
#include "tokenizer/jinja/template.h"

namespace floe::tokenizer::jinja {
namespace {

using Json = nlohmann::ordered_json;

RenderInput InputOf(const Json& variables) {
  RenderInput input;
  Budget budget(1 << 30);
  for (const auto& [name, value] : variables.items()) {
    input.variables[name] = FromJson(value, Origin::kData, budget).value_or(Value(None()));
  }
  input.now = absl::FromCivil(absl::CivilSecond(2025, 7, 9, 13, 5, 9), absl::UTCTimeZone());
  return input;
}

std::string ReadText(const std::string& name) {
  return ReadFile(std::string(FLOE_CHAT_TEMPLATES) + "/" + name, 16 << 20).value();
}

TEST(JinjaGoldenTest, WritesTheBytesOfJinja2OrRefuses) {
  const Json golden = Json::parse(ReadText("golden.json"));
  const Json& given = golden["given"];
  int same = 0, refused = 0;
  for (const Json& one : golden["cases"]) {
    const bool small = one.contains("template");
    const std::string source = small ? one["template"] : Json(ReadText(one["file"]));
    Json variables = given["variables"];
    if (!small) {
      variables = given["tokens"];
      variables.update(given["options"][one["options"].get<size_t>()]);
      variables["messages"] = given["chats"][one["chat"].get<size_t>()];
    }
    const auto loaded = Template::Load(source);
    const auto rendered = loaded.ok() ? loaded->Render(InputOf(variables))
                                      : absl::StatusOr<Rendering>(loaded.status());
    if (one["output"].is_null()) {
      EXPECT_FALSE(rendered.ok()) << source << "\ngave " << rendered->text.bytes;
      continue;
    }
    if (!rendered.ok()) {
      // What the subset does not have says so.
      EXPECT_THAT(std::string(rendered.status().message()), testing::HasSubstr("not supported"))
          << source;
      ++refused;
      continue;
    }
    EXPECT_EQ(rendered->text.bytes, one["output"].get<std::string>()) << source;
    ++same;
  }
  EXPECT_GT(same, 850);
  EXPECT_LT(refused, 40);
}

}  // namespace
}  // namespace floe::tokenizer::jinja
