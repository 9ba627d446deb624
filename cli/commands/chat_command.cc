// floe chat: talks to a model over the OpenAI-compatible HTTP, as any product would.
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/http/http_client.h"
#include "cli/http/sse.h"
#include <nlohmann/json.hpp>

#include "base/status_macros.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ChatFlags {
  std::string model, message, system, tier, collection;
  bool no_stream = false;
  std::optional<uint64_t> seed;
  std::optional<double> temperature, top_p;
  std::optional<int64_t> passages;
  std::optional<int64_t> max_tokens;  // else what the model's context leaves
};

absl::Status HttpError(const HttpResponse& answer) {
  std::string message = absl::StrCat("HTTP ", answer.status), code;
  const auto json = nlohmann::json::parse(answer.body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    message = json["error"].value("message", message);
    const auto found = json["error"].find("code");
    if (found != json["error"].end() && found->is_string()) code = *found;
  }
  switch (answer.status) {
    case 400:
    case 422:
      return absl::InvalidArgumentError(message);
    case 401:
      return absl::UnauthenticatedError(message);
    case 403:
      return absl::PermissionDeniedError(message);
    case 404:
      return absl::NotFoundError(message);
    case 429:
      return absl::ResourceExhaustedError(message);
    case 503:
    case 502:
    case 504:
      return absl::UnavailableError(message);
    default:
      return code == "data_loss" ? absl::DataLossError(message) : absl::InternalError(message);
  }
}

Json RequestBody(const ChatFlags& flags, const Json& messages) {
  Json body = {{"model", flags.model}, {"messages", messages}};
  if (flags.max_tokens) body["max_tokens"] = *flags.max_tokens;
  if (flags.seed) body["seed"] = *flags.seed;
  if (flags.temperature) body["temperature"] = *flags.temperature;
  if (flags.top_p) body["top_p"] = *flags.top_p;
  if (!flags.tier.empty()) body["service_tier"] = flags.tier;
  if (!flags.collection.empty()) {
    Json& retrieval = body["floe"]["retrieval"] = {{"collection", flags.collection}};
    if (flags.passages) retrieval["top_k"] = *flags.passages;
  }
  return body;
}

std::string UsageLine(const Json& answer) {
  if (!answer.contains("usage") || !answer["usage"].is_object()) return {};
  const Json& usage = answer["usage"];
  return absl::StrFormat("[%d prompt + %d completion tokens, %s]", usage.value("prompt_tokens", 0),
                         usage.value("completion_tokens", 0),
                         answer.value("system_fingerprint", std::string("no fingerprint")));
}

// A line for each passage that the answer rests on.
std::string Sources(const Json& answer) {
  std::string lines;
  int number = 0;
  for (const Json& citation :
       answer.value("floe", Json::object()).value("citations", Json::array())) {
    const std::string document = citation.value("document", std::string());
    absl::StrAppend(&lines, "[passage ", ++number, ": ", document.substr(document.rfind('/') + 1),
                    ", bytes ", citation.value("begin", int64_t{0}), " to ",
                    citation.value("end", int64_t{0}), "]\n");
  }
  return lines;
}

// One exchange with its way to the gateway.
class Conversation {
 public:
  Conversation(Session& session, const ChatFlags& flags, FleetAddress address)
      : session_(session), flags_(flags), address_(std::move(address)) {
    if (!flags.system.empty()) Say("system", flags.system);
  }

  // Sends what was said so far and `message`, prints the answer, remembers both.
  absl::Status Ask(const std::string& message) {
    Say("user", message);
    absl::StatusOr<std::string> answer =
        flags_.no_stream || session_.json ? AskWhole() : AskStreaming();
    if (!answer.ok()) {
      messages_.erase(messages_.size() - 1);  // so that trying again does not say it twice
      return answer.status();
    }
    Say("assistant", *answer);
    return absl::OkStatus();
  }

 private:
  void Say(const char* role, const std::string& text) {
    messages_.push_back({{"role", role}, {"content", text}});
  }

  HttpRequest Request(const Json& body) const {
    return {.url = absl::StrCat(address_.http, "/v1/chat/completions"),
            .headers = {"Content-Type: application/json",
                        absl::StrCat("Authorization: Bearer ", address_.key)},
            .body = body.dump(-1, ' ', false, Json::error_handler_t::replace),
            .timeout = absl::Minutes(10),
            .ca = absl::StartsWith(address_.http, "https:") ? address_.ca : ""};
  }

  absl::StatusOr<std::string> AskWhole() {
    FLOE_ASSIGN_OR_RETURN(const HttpResponse answer,
                          SendHttp(Request(RequestBody(flags_, messages_))));
    if (answer.status != 200) return HttpError(answer);
    const Json json = Json::parse(answer.body, nullptr, false);
    try {
      const std::string text = json.at("choices").at(0).at("message").at("content");
      if (session_.json) {
        session_.PrintJson(json);
      } else {
        session_.out() << text << "\n";
        session_.err() << Sources(json) << UsageLine(json) << "\n";
      }
      return text;
    } catch (const nlohmann::json::exception&) {
      return absl::InternalError("the gateway's answer is not an OpenAI chat completion");
    }
  }

  absl::StatusOr<std::string> AskStreaming() {
    Json body = RequestBody(flags_, messages_);
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    HttpRequest request = Request(body);
    SseReader reader;
    std::string text, usage, sources;
    absl::Status failure;
    bool done = false;
    request.on_data = [&](std::string_view bytes) {
      for (const std::string& event : reader.Take(bytes)) {
        if (event == "[DONE]") {
          done = true;
          continue;
        }
        const Json json = Json::parse(event, nullptr, false);
        TakeEvent(json, text, usage, failure);
        if (json.is_object()) sources += Sources(json);
      }
      return failure.ok();
    };
    const auto answer = SendHttp(request);
    if (!text.empty()) session_.out() << "\n" << std::flush;
    FLOE_RETURN_IF_ERROR(failure);
    FLOE_RETURN_IF_ERROR(answer.status());
    if (answer->status != 200) return HttpError(*answer);
    if (!done) return absl::UnavailableError("the answer broke off before its end; ask again");
    if (!usage.empty()) session_.err() << sources << usage << std::endl;
    return text;
  }

  void TakeEvent(const Json& event, std::string& text, std::string& usage, absl::Status& failure) {
    if (!event.is_object()) {
      failure = absl::InternalError("the gateway sent an event that is no JSON object");
    } else if (event.contains("error")) {
      failure = HttpError({500, event.dump()});
    } else {
      if (std::string line = UsageLine(event); !line.empty()) usage = std::move(line);
      if (!event.contains("choices") || event["choices"].empty()) return;
      const Json& delta = event["choices"][0].value("delta", Json::object());
      if (!delta.contains("content") || !delta["content"].is_string()) return;
      const std::string piece = delta["content"];
      text += piece;
      session_.out() << piece << std::flush;
    }
  }

  Session& session_;
  const ChatFlags& flags_;
  const FleetAddress address_;
  Json messages_ = Json::array();
};

absl::Status Chat(Session& session, const ChatFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(FleetAddress address, session.Address());
  if (address.http.empty()) {
    return absl::InvalidArgumentError(
        "the gateway's HTTP address is not known; give --http or set FLOE_HTTP");
  }
  Conversation conversation(session, flags, std::move(address));
  if (!flags.message.empty()) return conversation.Ask(flags.message);
  const bool person = session.streams.in_is_terminal;
  if (person) session.err() << "Chatting with " << flags.model << "; Ctrl-D ends it.\n";
  std::string line;
  while (true) {
    if (person) session.err() << "> " << std::flush;
    if (!std::getline(session.streams.in, line)) break;
    if (line.empty()) continue;
    const absl::Status status = conversation.Ask(line);
    if (status.ok()) continue;
    if (!person) return status;
    session.err() << "floe: " << std::string(status.message()) << "\n";
  }
  if (person) session.err() << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddChatCommand(CommandLine& line) {
  auto& flags = line.Keep<ChatFlags>();
  CLI::App* command =
      AddCommand(line.app(), "chat", "Talk to a model over the gateway's HTTP",
                 "  floe chat hamlet                         a conversation\n"
                 "  floe chat hamlet -m 'What is a dog?' --seed 7 --temperature 0.8\n"
                 "  floe chat hamlet --docs handbook -m 'How do I ask for leave?'\n"
                 "  floe chat hamlet@3 -m Hello --json       the whole answer for programs");
  command->add_option("model", flags.model, "MODEL, MODEL@ALIAS or MODEL@3")->required();
  command->add_option("-m,--message", flags.message, "Ask this once [lines of stdin]");
  command->add_option("--system", flags.system, "What the model is told before all else");
  command->add_flag("--no-stream", flags.no_stream, "Print the answer when it is complete");
  command->add_option("--seed", flags.seed, "The same seed gives the same answer");
  command->add_option("--temperature", flags.temperature, "0 is greedy");
  command->add_option("--top-p", flags.top_p, "Keep the likeliest tokens that make up this much");
  command
      ->add_option("--max-tokens", flags.max_tokens,
                   "At most this many new tokens [what the context leaves]")
      ->check(CLI::PositiveNumber);
  command->add_option("--tier", flags.tier, "flex, default or priority")
      ->check(CLI::IsMember({"flex", "default", "priority"}));
  CLI::Option* docs = command->add_option("--docs", flags.collection,
                                          "Answer from this collection's passages (see floe docs)");
  command->add_option("--passages", flags.passages, "At most this many of them [4]")
      ->check(CLI::Range(1, 50))
      ->needs(docs);
  line.OnRun(command, [&flags](Session& session) { return Chat(session, flags); });
}

}  // namespace floe::cli
