// The names of what the registry keeps, parsed and written (AIP-122).
//
//   teams/{team}/datasets/{dataset}[@sha256:<digest>]
//   teams/{team}/tokenizers/{tokenizer}[@sha256:<digest>]
//   teams/{team}/models/{model}/versions/{version}
//   teams/{team}/models/{model}/aliases/{alias}
//   teams/{team}/models/{model}/gatePolicy
//   teams/{team}/evaluations/{evaluation}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace floe::registry {

// A dataset, a tokenizer or a model: the id is unique within the team and the kind.
struct OwnedName {
  std::string team;
  std::string id;
  bool operator==(const OwnedName&) const = default;
};

// One revision of a dataset or tokenizer; an empty digest is the newest.
struct RevisionName {
  OwnedName name;
  std::string digest;
};

struct VersionName {
  OwnedName model;
  int64_t version = 0;  // from 1
};

struct AliasName {
  OwnedName model;
  std::string alias;
};

// INVALID_ARGUMENT says what form is expected.
absl::StatusOr<std::string> ParseTeam(std::string_view name);
absl::StatusOr<RevisionName> ParseDataset(std::string_view name);
absl::StatusOr<RevisionName> ParseTokenizer(std::string_view name);
absl::StatusOr<OwnedName> ParseModel(std::string_view name);
absl::StatusOr<VersionName> ParseVersion(std::string_view name);
absl::StatusOr<AliasName> ParseAlias(std::string_view name);
absl::StatusOr<OwnedName> ParseEvaluation(std::string_view name);
absl::StatusOr<OwnedName> ParseGatePolicy(std::string_view name);  // the model

std::string DatasetName(const OwnedName& name);
std::string TokenizerName(const OwnedName& name);
std::string ModelName(const OwnedName& name);
std::string EvaluationName(const OwnedName& name);
std::string GatePolicyName(const OwnedName& model);
std::string ToString(const VersionName& name);
std::string ToString(const AliasName& name);

// What a person or a request writes: `hamlet`, `hamlet@production`, `hamlet@3`, `hamlet@latest`,
// `hamlet@sha256:…`, `sha256:…`. A bare name means the alias `production`.
struct AliasReference {
  std::string model, alias;
};
struct VersionReference {
  std::string model;
  int64_t version = 0;
};
struct DigestReference {
  std::string model;  // empty: whichever model of the team has it
  std::string digest;
};
struct LatestReference {
  std::string model;  // its newest version
};
using Reference = std::variant<AliasReference, VersionReference, DigestReference, LatestReference>;

inline constexpr char kDefaultAlias[] = "production";
inline constexpr char kLatest[] = "latest";  // no alias: it always means the newest version

// INVALID_ARGUMENT lists the forms.
absl::StatusOr<Reference> ParseReference(std::string_view text);

// OK, or INVALID_ARGUMENT naming `field`: an id that a person chooses.
absl::Status CheckId(std::string_view field, std::string_view id);
// An alias is an id with a letter in it, so that `hamlet@3` can only be a version, and not kLatest.
absl::Status CheckAliasId(std::string_view id);
// 64 lower-case hexadecimal characters.
absl::Status CheckDigest(std::string_view field, std::string_view digest);

}  // namespace floe::registry
