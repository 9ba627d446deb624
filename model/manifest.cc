#include <optional>
#include <type_traits>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/canonical_json.h"
#include "model/checkpoint.h"

namespace floe::model {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxManifestBytes = 1 << 20;
constexpr size_t kMaxFileName = 200;
constexpr uint64_t kMaxFileSize = uint64_t{1} << 53;  // what canonical JSON can hold exactly
// Said in the file, so that a later form can be told apart.
constexpr char kFormat[] = "floe.checkpoint.v1";
constexpr char kWeightsKey[] = "weights";
constexpr char kRopeScalingKey[] = "rope_scaling";

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(kManifestFile, ": ", AbslView(what)));
}

// The members of one object, taken one by one: what is left at the end is unknown.
class Members {
 public:
  Members(Json object, std::string place) : object_(std::move(object)), place_(std::move(place)) {}

  // False, and the first mistake kept, when `key` is absent or not `is`.
  template <typename Is>
  Json Take(const char* key, const char* wanted, Is is) {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      Fail(absl::StrCat("has no ", key));
      return Json();
    }
    Json value = std::move(*found);
    object_.erase(found);
    if (is(value)) return value;
    Fail(absl::StrCat("has ", key, " = ", ShownJson(value), "; must be ", wanted));
    return Json();
  }
  int64_t Whole(const char* key) {
    const Json value = Take(key, "a whole number from 0 to 2^53", [](const Json& v) {
      return v.is_number_unsigned() && v.get<uint64_t>() <= kMaxFileSize;
    });
    return value.is_null() ? 0 : value.get<int64_t>();
  }
  double Number(const char* key) {
    const Json value = Take(key, "a number", [](const Json& v) { return v.is_number(); });
    return value.is_null() ? 0 : value.get<double>();
  }
  bool Boolean(const char* key) {
    const Json value = Take(key, "true or false", [](const Json& v) { return v.is_boolean(); });
    return !value.is_null() && value.get<bool>();
  }
  std::string Text(const char* key) {
    const Json value = Take(key, "a string", [](const Json& v) { return v.is_string(); });
    return value.is_null() ? "" : value.get<std::string>();
  }
  bool Has(const char* key) const { return object_.contains(key); }
  // Empty when the member is absent.
  std::string OptionalText(const char* key) { return object_.contains(key) ? Text(key) : ""; }
  std::string OptionalDigest(const char* key) { return object_.contains(key) ? Digest(key) : ""; }
  std::string Digest(const char* key) {
    const Json value =
        Take(key, "a SHA-256 of 64 lower-case hexadecimal digits", [](const Json& v) {
          return v.is_string() && IsSha256Hex(v.get_ref<const std::string&>());
        });
    return value.is_null() ? "" : value.get<std::string>();
  }
  Json Object(const char* key) {
    Json value = Take(key, "an object", [](const Json& v) { return v.is_object(); });
    return value.is_null() ? Json::object() : value;
  }

  absl::Status Finish() {
    if (mistake_.empty() && !object_.empty()) {
      Fail(absl::StrCat("has the unknown key ", ShownJson(object_.begin().key())));
    }
    return mistake_.empty() ? absl::OkStatus() : Bad(mistake_);
  }

 private:
  void Fail(std::string_view mistake) {
    if (mistake_.empty()) mistake_ = absl::StrCat(place_, " ", AbslView(mistake));
  }

  Json object_;
  std::string place_;
  std::string mistake_;
};

// A plain name inside the folder: no path, no hidden file, never the manifest itself.
bool IsFileName(std::string_view name) {
  if (name.empty() || name.size() > kMaxFileName || name.front() == '.') return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '.' && c != '_' && c != '-') return false;
  }
  return name != kManifestFile;
}

Json BlueprintJson(const Blueprint& b) {
  Json json = {{"family", FamilyName(b.family)},
               {"vocab_size", b.vocab_size},
               {"hidden_size", b.hidden_size},
               {"num_layers", b.num_layers},
               {"num_heads", b.num_heads},
               {"num_kv_heads", b.num_kv_heads},
               {"head_dim", b.head_dim},
               {"ffn_hidden", b.ffn_hidden},
               {"ffn", b.ffn == FfnKind::kGated ? "gated" : "plain"},
               {"context", b.context},
               {"rope_theta", b.rope_theta},
               {"norm_eps", b.norm_eps},
               {"tie_embeddings", b.tie_embeddings}};
  // Left out where nothing is scaled: a checkpoint keeps the digest that it had before the key.
  if (b.rope_scaling == RopeScaling{}) return json;
  Json& scaling = json[kRopeScalingKey] = Json::object();
  scaling["rope_type"] = RopeScalingName(b.rope_scaling.kind);
  VisitDials(b.rope_scaling, [&](const char* name, auto value) { scaling[name] = value; });
  return json;
}

absl::StatusOr<RopeScaling> ParseScaling(Json json) {
  Members members(std::move(json), absl::StrCat("blueprint.", kRopeScalingKey));
  RopeScaling scaling;
  const absl::StatusOr<RopeScalingKind> kind = ParseRopeScaling(members.Text("rope_type"));
  if (!kind.ok()) return Bad(StdView(kind.status().message()));
  scaling.kind = *kind;
  VisitDials(scaling, [&](const char* name, auto& value) {
    if constexpr (std::is_same_v<decltype(value), int64_t&>) {
      value = members.Whole(name);
    } else {
      value = members.Number(name);
    }
  });
  FLOE_RETURN_IF_ERROR(members.Finish());
  return scaling;
}

absl::StatusOr<Blueprint> ParseBlueprint(Json json) {
  Members members(std::move(json), "blueprint");
  Blueprint b;
  const std::string family = members.Text("family");
  b.vocab_size = members.Whole("vocab_size");
  b.hidden_size = members.Whole("hidden_size");
  b.num_layers = members.Whole("num_layers");
  b.num_heads = members.Whole("num_heads");
  b.num_kv_heads = members.Whole("num_kv_heads");
  b.head_dim = members.Whole("head_dim");
  b.ffn_hidden = members.Whole("ffn_hidden");
  const std::string ffn = members.Text("ffn");
  b.context = members.Whole("context");
  b.rope_theta = members.Number("rope_theta");
  b.norm_eps = members.Number("norm_eps");
  b.tie_embeddings = members.Boolean("tie_embeddings");
  Json scaling = members.Has(kRopeScalingKey) ? members.Object(kRopeScalingKey) : Json();
  FLOE_RETURN_IF_ERROR(members.Finish());
  if (!scaling.is_null()) {
    FLOE_ASSIGN_OR_RETURN(b.rope_scaling, ParseScaling(std::move(scaling)));
  }
  const absl::StatusOr<Family> known = ParseFamily(family);
  if (!known.ok()) return Bad(StdView(known.status().message()));
  b.family = *known;
  if (ffn != "gated" && ffn != "plain") return Bad("blueprint has an ffn; must be gated or plain");
  b.ffn = ffn == "gated" ? FfnKind::kGated : FfnKind::kPlain;
  if (const absl::Status valid = b.Validate(); !valid.ok()) return Bad(StdView(valid.message()));
  return b;
}

absl::StatusOr<std::map<std::string, ManifestFileEntry>> ParseFiles(const Json& json) {
  std::map<std::string, ManifestFileEntry> files;
  for (const auto& [name, value] : json.items()) {
    if (!IsFileName(name)) {
      return Bad(absl::StrCat("files has the name ", ShownJson(name),
                              "; a file's name is letters, "
                              "digits, '.', '_' and '-', without a path, and not ",
                              kManifestFile));
    }
    if (!value.is_object()) return Bad(absl::StrCat("files.", name, " must be an object"));
    Members members(value, absl::StrCat("files.", name));
    ManifestFileEntry entry;
    entry.digest = members.Digest("sha256");
    entry.size = static_cast<uint64_t>(members.Whole("size"));
    FLOE_RETURN_IF_ERROR(members.Finish());
    files.emplace(name, std::move(entry));
  }
  return files;
}

}  // namespace

std::string Manifest::Serialize() const {
  Json root = {{"format", kFormat}, {"blueprint", BlueprintJson(blueprint)}};
  if (weight_format == WeightFormat::kInt8) root[kWeightsKey] = WeightFormatName(weight_format);
  Json& listed = root["files"] = Json::object();
  for (const auto& [name, entry] : files) {
    listed[name] = {{"sha256", entry.digest}, {"size", entry.size}};
  }
  Json& from = root["parents"] = Json::object();
  const auto add_parent = [&](const char* key, const std::string& digest) {
    if (!digest.empty()) from[key] = digest;
  };
  add_parent("checkpoint", parents.checkpoint);
  add_parent("dataset", parents.dataset);
  add_parent("tokenizer", parents.tokenizer);
  return CanonicalJson(root.dump(-1, ' ', true, Json::error_handler_t::replace)).value_or("");
}

std::string Manifest::Digest() const { return Sha256::Hex(Serialize()); }

absl::StatusOr<Manifest> Manifest::Parse(std::string_view json) {
  if (json.size() > kMaxManifestBytes) {
    return Bad(absl::StrCat("has ", json.size(), " bytes; at most ", kMaxManifestBytes));
  }
  FLOE_ASSIGN_OR_RETURN(Json root, ParseStrictJson(json, kManifestFile));
  if (!root.is_object()) return Bad("must hold one JSON object");
  Members members(std::move(root), "the manifest");
  const std::string format = members.Text("format");
  Json blueprint = members.Object("blueprint");
  const Json files = members.Object("files");
  const std::string weights = members.OptionalText(kWeightsKey);
  Members parents(members.Object("parents"), "parents");
  FLOE_RETURN_IF_ERROR(members.Finish());
  if (format != kFormat) return Bad(absl::StrCat("format must be ", kFormat));

  Manifest manifest;
  if (!weights.empty()) {
    manifest.weight_format = WeightFormat::kInt8;
    if (weights != WeightFormatName(manifest.weight_format)) {
      return Bad(absl::StrCat("the manifest has ", kWeightsKey, " = ", ShownJson(weights),
                              "; int8 is known, and without the key weights are floats"));
    }
  }
  FLOE_ASSIGN_OR_RETURN(manifest.blueprint, ParseBlueprint(std::move(blueprint)));
  FLOE_ASSIGN_OR_RETURN(manifest.files, ParseFiles(files));
  manifest.parents.checkpoint = parents.OptionalDigest("checkpoint");
  manifest.parents.dataset = parents.OptionalDigest("dataset");
  manifest.parents.tokenizer = parents.OptionalDigest("tokenizer");
  FLOE_RETURN_IF_ERROR(parents.Finish());
  if (manifest.Serialize() != json) {
    return Bad("is not in the canonical form of RFC 8785, so its digest would not be its name");
  }
  return manifest;
}

}  // namespace floe::model
