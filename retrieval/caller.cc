#include "retrieval/caller.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::retrieval {

absl::Status NotFound(std::string_view name) {
  const bool document = name.find("/documents/") != std::string_view::npos;
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "there is no ", AbslView(name),
                        " that this team may use; check the name and the team of the key")),
                    document ? "DOCUMENT_NOT_FOUND" : "COLLECTION_NOT_FOUND",
                    {{"name", std::string(name)}});
}

absl::Status CheckOwner(const Caller& caller, std::string_view team, std::string_view name) {
  return caller.team.empty() || caller.team == team ? absl::OkStatus() : NotFound(name);
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " has ", text.size(),
                                                   " bytes; at most ", max_bytes, " are taken"));
  }
  for (size_t i = 0; i < text.size();) {
    const tokenizer::Utf8Char c = tokenizer::ReadUtf8(text, i);
    if (c.code_point == tokenizer::kNotUtf8 || c.code_point == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(field), ": the byte at offset ", i,
                       c.code_point == 0 ? " is NUL" : " is not UTF-8",
                       "; send UTF-8 text, converted with iconv if need be"));
    }
    i += c.length;
  }
  return absl::OkStatus();
}

}  // namespace floe::retrieval
