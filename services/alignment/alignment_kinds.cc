#include "services/alignment/alignment_kinds.h"

#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "trainer/alignment/spec/align_memory.h"

namespace floe::services::alignment {
namespace {

namespace pb = ::floe::registry::v1;

// Of the base. Texts may not be longer than it takes; its context when the specification does not
// say.
absl::StatusOr<model::Blueprint> BlueprintFor(const pb::ModelVersion& base,
                                              trainer::AlignSpec& spec) {
  FLOE_ASSIGN_OR_RETURN(const model::Manifest manifest, model::Manifest::Parse(base.manifest()));
  if (spec.sequence_length > manifest.blueprint.context) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequence_length is ", spec.sequence_length, ", more than the context ",
                     manifest.blueprint.context, " of ", base.name()));
  }
  if (spec.sequence_length == 0) spec.sequence_length = manifest.blueprint.context;
  return manifest.blueprint;
}

constexpr char kMemoryRemedy[] =
    "lower batch_size and raise gradient_accumulation by as much, or give a shorter sequence_length"
    " (too_long: skip leaves out what is longer)";

}  // namespace

std::string AlignmentKind::name() const {
  return std::string(kind_ == trainer::AlignKind::kSft ? trainer::kSftJobKind
                                                       : trainer::kDpoJobKind);
}

absl::StatusOr<jobs::CheckedSpec> AlignmentKind::Validate(const runtime::CallContext& call,
                                                          const std::string& team,
                                                          const std::string& text) {
  trainer::AlignSpec spec;
  const absl::Status legible = trainer::ReadAlignSpec(kind_, text, spec);
  std::vector<absl::Status> found = {legible};
  References references(registry_, call, team);
  absl::StatusOr<pb::ModelVersion> base;
  int64_t memory_bytes = 0;
  if (!spec.base.empty()) {
    base = references.Version("base", spec.base);
    const absl::StatusOr<model::Blueprint> blueprint =
        base.ok() ? BlueprintFor(*base, spec) : base.status();
    found.push_back(blueprint.status());
    if (blueprint.ok() && legible.ok()) {
      const auto needed = NeededMemory(*blueprint, spec);
      found.push_back(needed.status());
      memory_bytes = needed.value_or(0);
    }
  }
  absl::StatusOr<pb::Dataset> dataset, held_out;
  if (!spec.dataset.empty()) {
    dataset = DatasetFor("dataset", spec.dataset, references);
    found.push_back(dataset.status());
  }
  if (!spec.held_out.empty()) {
    held_out = DatasetFor("held_out", spec.held_out, references);
    found.push_back(held_out.status());
    if (held_out.ok() && dataset.ok() && held_out->digest() == dataset->digest()) {
      found.push_back(absl::InvalidArgumentError(
          "held_out and dataset are the same bytes; hold out examples that are not trained on"));
    }
  }
  FLOE_RETURN_IF_ERROR(jobs::AllMistakes(found));
  spec.base = Pinned(*base);
  spec.dataset = Pinned(*dataset);
  if (held_out.ok()) spec.held_out = Pinned(*held_out);
  return jobs::CheckedSpec(trainer::AlignSpecJson(kind_, spec), memory_bytes);
}

absl::StatusOr<int64_t> AlignmentKind::NeededMemory(const model::Blueprint& base,
                                                    const trainer::AlignSpec& spec) const {
  const trainer::MemoryNeed need = trainer::AlignMemoryNeed(kind_, base, spec);
  FLOE_ASSIGN_OR_RETURN(const int64_t memory_mib, memory_.LargestMib(name()));
  FLOE_RETURN_IF_ERROR(trainer::CheckMemory(need, memory_mib, kMemoryRemedy));
  return need.Total();
}

absl::StatusOr<pb::Dataset> AlignmentKind::DatasetFor(const std::string& key,
                                                      const std::string& reference,
                                                      References& references) const {
  FLOE_ASSIGN_OR_RETURN(pb::Dataset dataset, references.Dataset(key, reference));
  const std::string wanted = kind_ == trainer::AlignKind::kSft ? "chat" : "preference";
  if (dataset.format() == wanted) return dataset;
  return absl::FailedPreconditionError(absl::StrCat(
      key, ": ", dataset.name(), " has the format \"", dataset.format(), "\"; this kind of job ",
      "learns from ", wanted, " (floe data import FILE --format ", wanted, ")"));
}

}  // namespace floe::services::alignment
