#include "gateway/stages/policy.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

constexpr size_t kShownBytes = 200;

}  // namespace

absl::Status ModelNotFound(std::string_view model) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "The model `", absl::CHexEscape(std::string(model.substr(0, kShownBytes))),
          "` does not exist or your team does not have it; GET /v1/models lists those it has, and "
          "a bare name needs the alias production (floe models promote)")),
      "MODEL_NOT_FOUND", {{"param", "model"}});
}

Awaitable<absl::Status> PolicyStage::Enter(Request& request) {
  absl::StatusOr<ResolvedModel> model = co_await models_.Resolve(request.scope, request.ask.model);
  // A reference that is malformed names nothing either.
  if (absl::IsNotFound(model.status()) || absl::IsInvalidArgument(model.status())) {
    co_return ModelNotFound(request.ask.model);
  }
  if (!model.ok()) co_return model.status();
  request.model = *std::move(model);
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
