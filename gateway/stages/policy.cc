#include "gateway/stages/policy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/allowed/allowed.h"

namespace floe::gateway {
namespace {

constexpr size_t kShownBytes = 200;

std::string Shown(std::string_view text) {
  return absl::CHexEscape(std::string(text.substr(0, kShownBytes)));
}

// What the whole answer is checked against; the other forms are the worker's alone.
absl::StatusOr<std::unique_ptr<const Schema>> SchemaOf(const ResponseFormat& format) {
  if (format.kind == ResponseFormat::Kind::kJsonObject) return Schema::AnyObject();
  if (format.kind != ResponseFormat::Kind::kJsonSchema) return nullptr;
  auto schema = Schema::Compile(format.text);
  if (schema.ok()) return schema;
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(format.param, " ", schema.status().message())),
      "INVALID_VALUE", {{"param", format.param}});
}

bool KeyAllows(const Identity& caller, std::string_view model) {
  return caller.models.empty() || MatchesModel(caller.models, model);
}

// What the key itself is limited to, within the policy.
absl::Status CheckKey(const Identity& caller, const Ask& ask) {
  if (!KeyAllows(caller, ask.model)) {
    return WithReason(absl::PermissionDeniedError(
                          absl::StrCat("this API key may not ask the model `", Shown(ask.model),
                                       "`; it was made for ", absl::StrJoin(caller.models, ", "))),
                      "MODEL_NOT_ALLOWED", {{"param", "model"}});
  }
  const std::string_view tier = TierName(ask.tier);
  const auto& tiers = caller.tiers;
  if (!tiers.empty() && std::find(tiers.begin(), tiers.end(), tier) == tiers.end()) {
    return WithReason(absl::PermissionDeniedError(absl::StrCat(
                          "this API key may not ask for the service tier ", AbslView(tier),
                          "; it was made for ", absl::StrJoin(tiers, ", "))),
                      "TIER_NOT_ALLOWED", {{"param", "service_tier"}});
  }
  return absl::OkStatus();
}

absl::Status CheckDimensions(const Ask& ask, const ResolvedModel& model) {
  if (!ask.embedding || ask.embedding->dimensions <= model.hidden_size) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "dimensions is ", ask.embedding->dimensions, "; this model's vectors have ",
                        model.hidden_size, " values, so write 1 to ", model.hidden_size)),
                    "INVALID_VALUE", {{"param", "dimensions"}});
}

}  // namespace

bool MayAsk(const policy::TeamPolicy& rules, const Identity& caller, std::string_view model) {
  return rules.AllowsModel(model) && KeyAllows(caller, model);
}

absl::Status CheckAllowed(const policy::TeamPolicy& rules, const Identity& caller, const Ask& ask) {
  if (!rules.AllowsModel(ask.model)) {
    return WithReason(absl::PermissionDeniedError(absl::StrCat(
                          "your team's policy does not allow the model `", Shown(ask.model), "`")),
                      "MODEL_NOT_ALLOWED", {{"param", "model"}});
  }
  if (!rules.AllowsTier(TierName(ask.tier))) {
    return WithReason(
        absl::PermissionDeniedError(absl::StrCat(
            "your team's policy does not allow the service tier ", AbslView(TierName(ask.tier)),
            "; it allows ", rules.tiers.empty() ? "none" : absl::StrJoin(rules.tiers, ", "))),
        "TIER_NOT_ALLOWED", {{"param", "service_tier"}});
  }
  FLOE_RETURN_IF_ERROR(CheckKey(caller, ask));
  if (rules.max_output_tokens > 0 && ask.max_tokens.value_or(0) > rules.max_output_tokens) {
    return WithReason(absl::InvalidArgumentError(absl::StrCat(
                          "max_tokens is ", *ask.max_tokens, "; your team's policy allows at most ",
                          rules.max_output_tokens, " for an answer")),
                      "MAX_TOKENS_EXCEEDED", {{"param", "max_tokens"}});
  }
  return absl::OkStatus();
}

absl::Status ModelNotFound(std::string_view model) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "The model `", Shown(model),
          "` does not exist or your team does not have it; GET /v1/models lists those it has, and "
          "a bare name needs the alias production (floe models promote)")),
      "MODEL_NOT_FOUND", {{"param", "model"}});
}

Awaitable<absl::Status> PolicyStage::Enter(Request& request) {
  const absl::Status allowed = CheckAllowed(*request.rules, request.scope.caller, request.ask);
  if (!allowed.ok()) co_return allowed;
  absl::StatusOr<std::unique_ptr<const Schema>> schema = SchemaOf(request.ask.response_format);
  if (!schema.ok()) co_return schema.status();
  request.schema = *std::move(schema);
  absl::StatusOr<ResolvedModel> model = co_await models_.Resolve(request.scope, request.ask.model);
  // A reference that is malformed names nothing either.
  if (absl::IsNotFound(model.status()) || absl::IsInvalidArgument(model.status())) {
    co_return ModelNotFound(request.ask.model);
  }
  if (!model.ok()) co_return model.status();
  request.model = *std::move(model);
  co_return CheckDimensions(request.ask, request.model);
}

}  // namespace floe::gateway
