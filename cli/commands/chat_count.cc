#include "cli/commands/chat_count.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/time/clock.h"
#include "cli/door/blobs.h"

#include "base/files.h"
#include "base/json/strict_json.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "gateway/openai/parse.h"
#include "services/gateway/prompt/chat_prompt.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::cli {
namespace {

namespace reg = registry::v1;
namespace tok = floe::tokenizer;

constexpr uint64_t kMaxFile = 256 << 20;

// The request as the gateway reads it. A list of messages is one; no model's name is counted.
absl::StatusOr<gateway::Ask> ReadRequest(const std::string& chat) {
  FLOE_RETURN_IF_ERROR(ParseStrictJson(chat, "the chat").status());
  // Templates write tools with their fields in the order in which they came.
  auto request = nlohmann::ordered_json::parse(chat, nullptr, /*allow_exceptions=*/false);
  if (request.is_array()) request = {{"messages", std::move(request)}};
  if (!request.is_object()) {
    return absl::InvalidArgumentError(
        "the chat must be a list of messages, or a request with `messages`");
  }
  if (!request.contains("model")) request["model"] = "any";
  return gateway::openai::ParseChat(request.dump());
}

absl::StatusOr<std::string> Download(Door& door, const std::string& digest) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-tokenizer"));
  FLOE_RETURN_IF_ERROR(DownloadBlob(door, digest, folder.path() / digest, [](int64_t) {}));
  return ReadFile(folder.path() / digest, kMaxFile);
}

}  // namespace

absl::StatusOr<int64_t> CountChat(Session& session, const std::string& tokenizer,
                                  const std::string& chat) {
  FLOE_ASSIGN_OR_RETURN(const gateway::Ask ask, ReadRequest(chat));
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
  FLOE_ASSIGN_OR_RETURN(const gateway::EncodedPrompt prompt,
                        gateway::EncodeChat(*reader, chat_template,
                                            std::get<std::vector<gateway::Message>>(ask.prompts[0]),
                                            ask.tools, absl::Now()));
  return static_cast<int64_t>(prompt.ids.size());
}

}  // namespace floe::cli
