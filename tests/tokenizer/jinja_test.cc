// What a template may not do: leave the subset, run for ever, fill the memory, overflow the stack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tokenizer/jinja/template.h"

namespace floe::tokenizer::jinja {
namespace {

using testing::HasSubstr;

std::string LoadError(std::string_view source) {
  return std::string(Template::Load(source).status().message());
}

absl::StatusOr<Rendering> RenderIt(std::string_view source, RenderInput input = {}) {
  auto loaded = Template::Load(source);
  if (!loaded.ok()) return loaded.status();
  return loaded->Render(std::move(input));
}

std::string Repeat(std::string_view part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

TEST(JinjaTest, RefusesWhatIsOutsideTheSubsetByNameAndLine) {
  EXPECT_THAT(LoadError("a\nb\n{{ x | wordwrap(3) }}"),
              HasSubstr("filter 'wordwrap' (line 3 of the chat template) is not supported; "
                        "supported are capitalize, "));
  EXPECT_THAT(LoadError("{{ x is sameas y }}"), HasSubstr("test 'sameas' (line 1"));
  EXPECT_THAT(LoadError("\n{{ cycler(1) }}"), HasSubstr("function 'cycler' (line 2"));
  EXPECT_THAT(LoadError("{{ x.format(1) }}"), HasSubstr("method 'format' (line 1"));
  EXPECT_THAT(LoadError("{{ x.__class__.mro() }}"), HasSubstr("method 'mro' (line 1"));
  EXPECT_THAT(LoadError("{% include 'x' %}"), HasSubstr("statement 'include' (line 1"));
  EXPECT_THAT(LoadError("{% raw %}x{% endraw %}"), HasSubstr("statement 'raw' (line 1"));
  EXPECT_THAT(LoadError("{% call m() %}{% endcall %}"), HasSubstr("statement 'call'"));
  EXPECT_THAT(LoadError("{% for x in y recursive %}{% endfor %}"), HasSubstr("'recursive'"));
  EXPECT_THAT(LoadError("{{ loop.cycle(1) }}"), HasSubstr("'cycle' (line 1"));
  EXPECT_THAT(LoadError("{{ loop.depth }}"), HasSubstr("attribute of loop 'depth' (line 1"));
  EXPECT_THAT(LoadError("{{ 2 ** 3 }}"), HasSubstr("operator '**' (line 1"));
  EXPECT_THAT(LoadError("{% macro m() %}{% generation %}{% endgeneration %}{% endmacro %}"),
              HasSubstr("'generation' inside a macro"));
}

TEST(JinjaTest, SaysWhereItFails) {
  EXPECT_THAT(std::string(RenderIt("a\n{% if true %}\n{{ x.y }}{% endif %}").status().message()),
              HasSubstr("line 3 of the chat template: 'x' is undefined"));
  EXPECT_THAT(std::string(RenderIt("\n{{ raise_exception('no ' ~ 'way') }}").status().message()),
              HasSubstr("line 2 of the chat template: it refuses these messages: no way"));
  EXPECT_THAT(LoadError("a\n{{ 1 +\n }}"), HasSubstr("line 3 of the chat template"));
  EXPECT_THAT(std::string(RenderIt("{{ strftime_now('%d') }}").status().message()),
              HasSubstr("'strftime_now' is undefined"));
}

// Each would take hours, or all memory.
TEST(JinjaTest, WorkIsBounded) {
  for (const std::string& source : std::vector<std::string>{
           "{% for i in range(1000000000) %}x{% endfor %}",
           "{{ range(9223372036854775807)|length }}",
           "{{ range(0, -9223372036854775807, -1)|length }}",
           "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}"
           "{% endfor %}{% endfor %}{% endfor %}",
           "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}"
           "{% endfor %}",
           "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}"
           "{% endfor %}",
           "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}"
           "{% endfor %}",
           "{{ 'x' * 4000000000000000000 }}",
           "{{ '' * 9000000000000000000 }}",
           "{% set n = namespace(s='xx') %}{% for i in range(99) %}"
           "{% set n.s = n.s.replace('x', n.s) %}{% endfor %}",
           "{% set n = namespace(s='xx') %}{% for i in range(99) %}"
           "{% set n.s = n.s|list|join(n.s) %}{% endfor %}",
           "{% set n = namespace(s=[]) %}{% for i in range(999999) %}"
           "{% set n.s = [n.s, n.s] %}{% endfor %}",
           "{% set n = namespace(s=[1]) %}{% for i in range(30) %}{% set n.s = [n.s, n.s] %}"
           "{% endfor %}{{ n.s|tojson }}",
           "{% set n = namespace(s=[1], t=[1]) %}{% for i in range(30) %}{% set n.s = [n.s, n.s] %}"
           "{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.s == n.t }}",
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}"
           "{{ a() }}",
           "{% macro m(k) %}{% if k %}{{ m(k - 1) }}{{ m(k - 1) }}{% endif %}{% endmacro %}"
           "{{ m(25) }}",
           "{% set s = 'a' * 100000 %}{% for i in range(10000) %}{{ s.split('a')|length }}"
           "{% endfor %}",
           "{% set s = 'a' * 100000 %}{% for i in range(10000) %}{{ s[::-1]|length }}{% endfor %}",
           "{% set s = 'a' * 100000 %}{% for i in range(10000) %}{% if (s ~ 'b') in s %}"
           "{% endif %}{% endfor %}",
           "{% set s = ' ' * 100000 %}{% for i in range(10000) %}{{ s|trim }}{% endfor %}",
       }) {
    const auto rendered = RenderIt(source);
    EXPECT_EQ(rendered.status().code(), absl::StatusCode::kResourceExhausted)
        << source << rendered.status();
  }
}

TEST(JinjaTest, NestingIsBounded) {
  const int many = 20'000;
  for (const std::string& source : std::vector<std::string>{
           "{{ " + Repeat("(", many) + "1" + Repeat(")", many) + " }}",
           "{{ " + Repeat("[", many) + Repeat("]", many) + " }}",
           "{{ " + Repeat("not ", many) + "1 }}",
           "{{ " + Repeat("- ", many) + "1 }}",
           "{{ 1" + Repeat(" + 1", many) + " }}",
           "{{ x" + Repeat(".x", many) + " }}",
           "{{ x" + Repeat("|trim", many) + " }}",
           "{{ x" + Repeat(" is string", many) + " }}",
           "{{ x" + Repeat(" if x else x", many) + " }}",
           "{{ x" + Repeat(" or x", many) + " }}",
           Repeat("{% if 1 %}", many) + Repeat("{% endif %}", many),
           Repeat("{% for x in y %}", many),
           Repeat("{% if 1 %}{% else %}", many),
           Repeat("{% macro m() %}", many),
       }) {
    EXPECT_EQ(Template::Load(source).status().code(), absl::StatusCode::kInvalidArgument)
        << source.substr(0, 20);
  }
  EXPECT_THAT(LoadError(Repeat("x", 300 << 10)), HasSubstr("at most 262144"));
}

TEST(JinjaTest, ANamespaceCannotContainItself) {
  EXPECT_FALSE(RenderIt("{% set n = namespace() %}{% set n.n = n %}").ok());
  EXPECT_FALSE(RenderIt("{% set n = namespace() %}{% set n.n = [n] %}").ok());
  EXPECT_FALSE(RenderIt("{% set n = namespace() %}{% set m = namespace(n=n) %}").ok());
}

TEST(JinjaTest, NumbersDoNotOverflow) {
  for (const std::string& expression : std::vector<std::string>{
           "9223372036854775807 + 1", "9223372036854775807 * 2", "-9223372036854775807 - 2",
           "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) // -1"}) {
    EXPECT_THAT(std::string(RenderIt("{{ " + expression + " }}").status().message()),
                HasSubstr("64 bits"))
        << expression;
  }
  EXPECT_EQ(RenderIt("{{ (-9223372036854775807 - 1) % -1 }}")->text.bytes, "0");
  EXPECT_EQ(RenderIt("{{ [1, 2, 3][-9223372036854775807:9223372036854775807:"
                     "9223372036854775807]|join }}")
                ->text.bytes,
            "1");
  EXPECT_EQ(RenderIt("{{ 'abc'[::-9223372036854775807] }}")->text.bytes, "c");
}

// A template of the largest size, of as many tokens as it can hold.
TEST(JinjaTest, LoadingTakesTimeInProportion) {
  const auto loaded = Template::Load("{{ [" + Repeat("1,", 130'000) + "] }}");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
}

// Every byte remembers where it comes from, through all that a template does with it.
TEST(JinjaTest, OriginsStayWithTheirBytes) {
  RenderInput input;
  input.variables["d"] = Value::Of(" Data, ", Origin::kData);
  input.variables["r"] = Value::Of("role", Origin::kRole);
  const std::string source =
      "{{ r ~ d|trim + '<x>' }}{{ d.split(',')|join('|') }}{{ d.replace('a', 'b') }}"
      "{{ (d ~ 'lit')[5:9]|upper }}{{ {'role': '<y>'}[r] }}{{ [d, r]|tojson }}{{ 7 }}";
  const auto rendered = RenderIt(source, std::move(input));
  ASSERT_TRUE(rendered.ok()) << rendered.status();
  EXPECT_EQ(rendered->text.bytes, "roleData,<x> Data|  Dbtb, , LI<y>[\" Data, \", \"role\"]7");
  EXPECT_EQ(rendered->text.origins,
            "rrrrdddddttt"  // roleData,<x>
            "dddddtd"       // split and joined
            "ddtdtdd"       // replaced
            "ddtt"          // sliced across both
            "ttt"           // chosen by a role, but written by the template
            "ddddddddddddddddddd"
            "d");
}

}  // namespace
}  // namespace floe::tokenizer::jinja
