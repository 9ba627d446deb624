#include "retrieval/document.h"

#include <array>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "retrieval/caller.h"

namespace floe::retrieval {
namespace {

constexpr std::array<std::string_view, 3> kFormats = {"text", "markdown", "jsonl"};

}  // namespace

std::string_view FormatName(Format format) { return kFormats[static_cast<size_t>(format)]; }

absl::StatusOr<Format> FormatFromName(std::string_view name) {
  for (size_t i = 0; i < kFormats.size(); ++i) {
    if (kFormats[i] == name) return static_cast<Format>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat("format is \"", AbslView(name.substr(0, 40)),
                                                 "\"; use text, markdown or jsonl"));
}

absl::Status Validate(const NewDocument& document) {
  FLOE_RETURN_IF_ERROR(CheckId("document_id", document.id));
  const std::string of = absl::StrCat("document ", document.id, ": ");
  FLOE_RETURN_IF_ERROR(CheckText(of + "title", document.title, kMaxTitleBytes));
  FLOE_RETURN_IF_ERROR(CheckText(of + "source", document.source, kMaxSourceBytes));
  return CheckText(of + "content", document.content, kMaxDocumentBytes);
}

}  // namespace floe::retrieval
