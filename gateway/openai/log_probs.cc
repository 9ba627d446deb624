#include "gateway/openai/log_probs.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace floe::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;

Json Value(const TokenLogProb& one) {
  // A number that is none is no less likely than one that cannot be.
  return one.log_probability > kLeastLogProb ? one.log_probability : kLeastLogProb;
}

Json ChatToken(const TokenLogProb& one) {
  Json bytes = Json::array();
  for (const char c : one.token) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", one.token}, {"logprob", Value(one)}, {"bytes", std::move(bytes)}};
}

// Where whole characters of UTF-8 begin.
int64_t Characters(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

bool IsText(std::string_view bytes) {
  try {
    (void)Json(std::string(bytes)).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

// Two tokens that are no whole characters must not become one name: such are written as OpenAI's
// completions write them, `bytes:\xe2\x80`.
std::string CompletionToken(std::string_view bytes) {
  if (IsText(bytes)) return std::string(bytes);
  std::string name = "bytes:";
  for (const char c : bytes) {
    absl::StrAppend(&name, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  return name;
}

Json ForChat(const std::vector<TokenLogProbs>& tokens) {
  Json content = Json::array();
  for (const TokenLogProbs& token : tokens) {
    Json one = ChatToken(token.chosen);
    one["top_logprobs"] = Json::array();
    for (const TokenLogProb& other : token.top) one["top_logprobs"].push_back(ChatToken(other));
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace

Json LogProbsOf(const std::vector<TokenLogProbs>& tokens, bool chat, int64_t& offset) {
  if (chat) return ForChat(tokens);
  Json names = Json::array(), values = Json::array(), tops = Json::array();
  Json offsets = Json::array();
  for (const TokenLogProbs& token : tokens) {
    names.push_back(CompletionToken(token.chosen.token));
    values.push_back(token.first ? Json() : Value(token.chosen));
    Json top = token.first ? Json() : Json::object();
    for (const TokenLogProb& other : token.top) top[CompletionToken(other.token)] = Value(other);
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    if (token.in_text) offset += Characters(token.chosen.token);
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace floe::gateway::openai
