#include "cli/commands/chat_count.h"

#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/door/blobs.h"

#include "base/files.h"
#include "base/json/strict_json.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "gateway/openai/parse.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::cli {
namespace {

namespace reg = registry::v1;
namespace tok = floe::tokenizer;

constexpr uint64_t kMaxFile = 256 << 20;

absl::StatusOr<std::vector<tok::ChatMessage>> ReadMessages(const std::string& chat) {
  FLOE_ASSIGN_OR_RETURN(nlohmann::json request, ParseStrictJson(chat, "the chat"));
  if (request.is_array()) request = {{"messages", std::move(request)}};
  if (!request.is_object()) {
    return absl::InvalidArgumentError(
        "the chat must be a list of messages, or a request with `messages`");
  }
  if (!request.contains("model")) request["model"] = "any";  // no model's name is counted
  FLOE_ASSIGN_OR_RETURN(const gateway::Ask ask, gateway::openai::ParseChat(request.dump()));
  std::vector<tok::ChatMessage> messages;
  for (const gateway::Message& one : std::get<std::vector<gateway::Message>>(ask.prompts[0])) {
    messages.push_back({one.role, one.content});
  }
  return messages;
}

absl::StatusOr<std::string> Download(Door& door, const std::string& digest) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-tokenizer"));
  FLOE_RETURN_IF_ERROR(DownloadBlob(door, digest, folder.path() / digest, [](int64_t) {}));
  return ReadFile(folder.path() / digest, kMaxFile);
}

}  // namespace

absl::StatusOr<int64_t> CountChat(Session& session, const std::string& tokenizer,
                                  const std::string& chat) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<tok::ChatMessage> messages, ReadMessages(chat));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  reg::GetTokenizerRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("tokenizers", tokenizer));
  FLOE_ASSIGN_OR_RETURN(
      const reg::Tokenizer found,
      door->Ask(door->registry(), &reg::RegistryService::Stub::GetTokenizer, request));
  FLOE_ASSIGN_OR_RETURN(const std::string json, Download(*door, found.digest()));
  FLOE_ASSIGN_OR_RETURN(const auto reader, tok::Tokenizer::Load(json));
  tok::ChatTemplate chat_template;
  if (!found.config_digest().empty()) {
    FLOE_ASSIGN_OR_RETURN(const std::string config, Download(*door, found.config_digest()));
    FLOE_ASSIGN_OR_RETURN(chat_template, tok::ChatTemplate::FromConfig(config));
  }
  FLOE_ASSIGN_OR_RETURN(const auto ids,
                        chat_template.Render(*reader, messages, {.now = absl::Now()}));
  return static_cast<int64_t>(ids.size());
}

}  // namespace floe::cli
