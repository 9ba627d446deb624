#include "gateway/openai/tool_calls.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::gateway::openai {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CallOptions Options(ToolFormat format) { return {.format = format, .names = {"weather", "time"}}; }

// All that comes of a text which arrives in pieces of `size` bytes.
ToolCallReader::Found Read(const CallOptions& options, std::string_view text, size_t size) {
  ToolCallReader reader(options);
  ToolCallReader::Found all;
  const auto take = [&](ToolCallReader::Found found) {
    all.content += found.content;
    for (ToolCall& call : found.calls) all.calls.push_back(std::move(call));
  };
  for (size_t at = 0; at < text.size(); at += size) take(reader.Push(text.substr(at, size)));
  take(reader.Flush());
  EXPECT_EQ(reader.calls(), all.calls.size());
  return all;
}

void Expect(const CallOptions& options, std::string_view text, std::string_view content,
            const std::vector<ToolCall>& calls) {
  for (const size_t size : {1, 2, 3, 7, 1000}) {
    const auto found = Read(options, text, size);
    EXPECT_EQ(found.content, content) << text << " by " << size;
    EXPECT_EQ(found.calls, calls) << text << " by " << size;
  }
}

TEST(ToolCalls, TaggedStandAmongText) {
  const auto options = Options(ToolFormat::kTagged);
  Expect(options,
         "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Kyiv\"}}\n"
         "</tool_call>\n<tool_call>{\"name\": \"time\"}</tool_call>\n",
         "Let me see.", {{"", "weather", R"({"city":"Kyiv"})"}, {"", "time", "{}"}});
  Expect(options, "<tool_call>{\"name\": \"time\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
         "", {{"", "time", R"({"a": 1})"}});
  Expect(options, "no call <tool", "no call <tool", {});
  Expect(options, "  a <b> \n", "  a <b> \n", {});
}

TEST(ToolCalls, WhatIsNoCallStaysText) {
  const auto options = Options(ToolFormat::kTagged);
  for (const std::string text :
       {"<tool_call>not json</tool_call>", "a<tool_call>{\"name\": \"bomb\"}</tool_call>b",
        "<tool_call>[1]</tool_call>",
        "<tool_call>{\"name\": \"time\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"name\": \"time\", \"argum"}) {
    Expect(options, text, text, {});
  }
}

TEST(ToolCalls, ACallMayLackItsEndAlone) {
  Expect(Options(ToolFormat::kTagged), "<tool_call>{\"name\": \"time\", \"arguments\": {}}", "",
         {{"", "time", "{}"}});
}

TEST(ToolCalls, ThePromptMayHaveBegunTheCall) {
  CallOptions options = Options(ToolFormat::kTagged);
  options.begun = true;
  Expect(options, "{\"name\": \"time\", \"arguments\": {\"at\": \"</x>\"}}", "",
         {{"", "time", R"({"at":"</x>"})"}});
  Expect(options, "{\"name\": \"ti", "{\"name\": \"ti", {});
}

TEST(ToolCalls, MoreThanAreWantedAreText) {
  CallOptions options = Options(ToolFormat::kTagged);
  options.most = 1;
  Expect(options,
         "<tool_call>{\"name\": \"time\"}</tool_call><tool_call>{\"name\": \"time\"}</tool_call>",
         "<tool_call>{\"name\": \"time\"}</tool_call>", {{"", "time", "{}"}});
}

TEST(ToolCalls, OfBareOnesTooMoreThanAreWantedAreText) {
  CallOptions options = Options(ToolFormat::kBare);
  options.most = 1;
  Expect(options, "{\"name\": \"time\"}; {\"name\": \"time\"}", "{\"name\": \"time\"}",
         {{"", "time", "{}"}});
}

TEST(ToolCalls, BareIsTheWholeAnswer) {
  const auto options = Options(ToolFormat::kBare);
  Expect(options, " {\"name\": \"weather\", \"parameters\": {\"city\": \"}{\"}}", "",
         {{"", "weather", R"({"city":"}{"})"}});
  Expect(options, "<|python_tag|>{\"name\": \"time\"}; {\"name\": \"time\"}", "",
         {{"", "time", "{}"}, {"", "time", "{}"}});
  for (const std::string text : {"{\"name\": \"time\"} and more", "{\"name\": \"bomb\"}", "{\"a\"",
                                 "{", "It is {\"name\": 1}", "<|python", "", "; ;"}) {
    Expect(options, text, text, {});
  }
}

TEST(ToolCalls, TextComesAtOnceWhereItCannotBeACall) {
  ToolCallReader tagged(Options(ToolFormat::kTagged));
  EXPECT_EQ(tagged.Push("Hello <").content, "Hello");
  EXPECT_EQ(tagged.Push("b> you").content, " <b> you");
  ToolCallReader bare(Options(ToolFormat::kBare));
  EXPECT_EQ(bare.Push(" \n").content, "");
  EXPECT_EQ(bare.Push("Hi {").content, " \nHi {");
  ToolCallReader none(Options(ToolFormat::kNone));
  EXPECT_EQ(none.Push("<tool_call>").content, "<tool_call>");
}

}  // namespace
}  // namespace floe::gateway::openai
