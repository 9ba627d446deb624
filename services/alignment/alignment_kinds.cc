#include "services/alignment/alignment_kinds.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "services/alignment/references.h"

namespace floe::services::alignment {
namespace {

namespace pb = ::floe::registry::v1;

absl::Status CheckFormat(const std::string& key, const pb::Dataset& dataset,
                         trainer::AlignKind kind) {
  const std::string wanted = kind == trainer::AlignKind::kSft ? "chat" : "preference";
  if (dataset.format() == wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      key, ": ", dataset.name(), " has the format \"", dataset.format(), "\"; this kind of job ",
      "learns from ", wanted, " (floe data import FILE --format ", wanted, ")"));
}

}  // namespace

std::string AlignmentKind::name() const {
  return std::string(kind_ == trainer::AlignKind::kSft ? trainer::kSftJobKind
                                                       : trainer::kDpoJobKind);
}

absl::StatusOr<std::string> AlignmentKind::Validate(const runtime::CallContext& call,
                                                    const std::string& team,
                                                    const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(trainer::AlignSpec spec, trainer::ParseAlignSpec(kind_, text));
  References references(registry_, call, team);
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion base, references.Version("base", spec.base));
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(base.manifest()));
  if (spec.sequence_length > manifest.blueprint.context) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequence_length is ", spec.sequence_length, ", more than the context ",
                     manifest.blueprint.context, " of ", base.name()));
  }
  if (spec.sequence_length == 0) spec.sequence_length = manifest.blueprint.context;
  FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset, references.Dataset("dataset", spec.dataset));
  FLOE_RETURN_IF_ERROR(CheckFormat("dataset", dataset, kind_));
  if (!spec.held_out.empty()) {
    FLOE_ASSIGN_OR_RETURN(const pb::Dataset held_out,
                          references.Dataset("held_out", spec.held_out));
    FLOE_RETURN_IF_ERROR(CheckFormat("held_out", held_out, kind_));
    if (held_out.digest() == dataset.digest()) {
      return absl::InvalidArgumentError(
          "held_out and dataset are the same bytes; hold out examples that are not trained on");
    }
    spec.held_out = Pinned(held_out);
  }
  spec.base = Pinned(base);
  spec.dataset = Pinned(dataset);
  return trainer::AlignSpecJson(kind_, spec);
}

}  // namespace floe::services::alignment
