#include "registry/names.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::registry {
namespace {

constexpr std::string_view kRevisionMark = "@sha256:";
constexpr std::string_view kDigestMark = "sha256:";
constexpr std::string_view kGatePolicy = "/gatePolicy";
constexpr size_t kShownBytes = 200;

// What a caller wrote, fit for a message.
std::string Shown(std::string_view text) {
  return absl::Utf8SafeCHexEscape(AbslView(text.substr(0, kShownBytes)));
}

absl::StatusOr<OwnedName> ParseOwned(std::string_view name, std::string_view collection) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", collection}));
  return OwnedName{std::move(ids[0]), std::move(ids[1])};
}

absl::StatusOr<RevisionName> ParseRevision(std::string_view name, std::string_view collection) {
  RevisionName revision;
  const size_t mark = name.find(kRevisionMark);
  if (mark != std::string_view::npos) {
    revision.digest = name.substr(mark + kRevisionMark.size());
    FLOE_RETURN_IF_ERROR(CheckDigest("name", revision.digest));
  }
  FLOE_ASSIGN_OR_RETURN(revision.name, ParseOwned(name.substr(0, mark), collection));
  return revision;
}

// 1 to 18 digits without a leading zero.
bool ParseNumber(std::string_view text, int64_t& number) {
  return !text.empty() && text.size() <= 18 && text[0] != '0' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         absl::SimpleAtoi(AbslView(text), &number);
}

bool HasLetter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

absl::StatusOr<std::string> ParseTeam(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams"}));
  return std::move(ids[0]);
}

absl::StatusOr<RevisionName> ParseDataset(std::string_view name) {
  return ParseRevision(name, "datasets");
}

absl::StatusOr<RevisionName> ParseTokenizer(std::string_view name) {
  return ParseRevision(name, "tokenizers");
}

absl::StatusOr<OwnedName> ParseModel(std::string_view name) { return ParseOwned(name, "models"); }

absl::StatusOr<VersionName> ParseVersion(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", "models", "versions"}));
  VersionName version{{std::move(ids[0]), std::move(ids[1])}, 0};
  if (ParseNumber(ids[2], version.version)) return version;
  return absl::InvalidArgumentError(absl::StrCat("'", ids[2], "' is no version of ",
                                                 ModelName(version.model),
                                                 "; versions are the numbers 1, 2, 3, ..."));
}

absl::StatusOr<AliasName> ParseAlias(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", "models", "aliases"}));
  FLOE_RETURN_IF_ERROR(CheckAliasId(ids[2]));
  return AliasName{{std::move(ids[0]), std::move(ids[1])}, std::move(ids[2])};
}

absl::StatusOr<OwnedName> ParseEvaluation(std::string_view name) {
  return ParseOwned(name, "evaluations");
}

absl::StatusOr<OwnedName> ParseGatePolicy(std::string_view name) {
  if (name.ends_with(kGatePolicy)) {
    return ParseModel(name.substr(0, name.size() - kGatePolicy.size()));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", Shown(name), "' names no gate policy; write teams/{team}/models/{model}/gatePolicy"));
}

std::string DatasetName(const OwnedName& name) {
  return absl::StrCat("teams/", name.team, "/datasets/", name.id);
}

std::string TokenizerName(const OwnedName& name) {
  return absl::StrCat("teams/", name.team, "/tokenizers/", name.id);
}

std::string ModelName(const OwnedName& name) {
  return absl::StrCat("teams/", name.team, "/models/", name.id);
}

std::string EvaluationName(const OwnedName& name) {
  return absl::StrCat("teams/", name.team, "/evaluations/", name.id);
}

std::string GatePolicyName(const OwnedName& model) {
  return absl::StrCat(ModelName(model), AbslView(kGatePolicy));
}

std::string ToString(const VersionName& name) {
  return absl::StrCat(ModelName(name.model), "/versions/", name.version);
}

std::string ToString(const AliasName& name) {
  return absl::StrCat(ModelName(name.model), "/aliases/", name.alias);
}

absl::StatusOr<Reference> ParseReference(std::string_view text) {
  if (text.starts_with(kDigestMark)) {
    const std::string_view digest = text.substr(kDigestMark.size());
    if (IsSha256Hex(digest)) return DigestReference{"", std::string(digest)};
  } else {
    const size_t at = text.find('@');
    const std::string model(text.substr(0, at));
    const std::string_view what =
        at == std::string_view::npos ? kDefaultAlias : text.substr(at + 1);
    if (IsResourceId(model)) {
      int64_t version = 0;
      if (ParseNumber(what, version)) return VersionReference{model, version};
      if (what == kLatest) return LatestReference{model};
      if (IsResourceId(what) && HasLetter(what)) return AliasReference{model, std::string(what)};
      if (what.starts_with(kDigestMark) && IsSha256Hex(what.substr(kDigestMark.size()))) {
        return DigestReference{model, std::string(what.substr(kDigestMark.size()))};
      }
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", Shown(text),
      "' means no version; write <model>, <model>@<alias>, <model>@<version number>, "
      "<model>@latest, "
      "<model>@sha256:<64 hexadecimal characters> or sha256:<64 hexadecimal characters>"));
}

absl::Status CheckId(std::string_view field, std::string_view id) {
  if (IsResourceId(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(field), " is '", Shown(id),
                   "'; an id is 1 to 63 of a-z 0-9 - _ . and starts with a letter or digit"));
}

absl::Status CheckAliasId(std::string_view id) {
  if (id == kLatest) {
    return absl::InvalidArgumentError(
        "'latest' cannot be an alias: <model>@latest always means the newest version");
  }
  if (IsResourceId(id) && HasLetter(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", Shown(id), "' cannot be an alias; it needs a letter, or it would read as a version"));
}

absl::Status CheckDigest(std::string_view field, std::string_view digest) {
  if (IsSha256Hex(digest)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(field), " is '", Shown(digest),
                   "'; a digest is a SHA-256 as 64 lower-case hexadecimal characters"));
}

}  // namespace floe::registry
