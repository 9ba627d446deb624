#include "model/internal/rope_config.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace floe::model {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr char kOlder[] = "rope_scaling";
constexpr char kNewer[] = "rope_parameters";

// What `rope`, the object under `key`, says of its kind; none after a mistake.
std::optional<RopeScalingKind> ReadKind(ConfigReader& reader, const char* key, const Json& rope) {
  std::optional<RopeScalingKind> kind;
  for (const char* type_key : {"rope_type", "type"}) {
    const auto type = rope.find(type_key);
    if (type == rope.end() || type->is_null()) continue;
    const auto known = type->is_string() ? ParseRopeScaling(type->get_ref<const std::string&>())
                                         : absl::InvalidArgumentError("no string");
    if (!known.ok()) {
      reader.Add(absl::StrCat(key, ".", type_key, " is ", ShownJson(*type),
                              "; supported are \"default\", \"linear\" and \"llama3\""));
      return std::nullopt;
    }
    if (kind && *kind != *known) {
      reader.Add(absl::StrCat(key, ".rope_type and ", key, ".type differ"));
      return std::nullopt;
    }
    kind = *known;
  }
  if (kind) return kind;
  if (rope.contains("factor")) {
    reader.Add(absl::StrCat(key, ".rope_type is missing, but ", key, ".factor is there"));
    return std::nullopt;
  }
  return RopeScalingKind::kNone;
}

void ReadDial(ConfigReader& reader, const std::string& name, const Json& value, double& dial) {
  if (!value.is_number()) return reader.AddWrong(name, value, "a number");
  dial = value.get<double>();
}

void ReadDial(ConfigReader& reader, const std::string& name, const Json& value, int64_t& dial) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{1} << 53) {
    return reader.AddWrong(name, value, "a whole number");
  }
  dial = value.get<int64_t>();
}

// None where there is no object, or after a mistake.
std::optional<RopeScaling> ReadScaling(ConfigReader& reader, const char* key) {
  const Json& rope = reader.At(key);
  if (rope.is_null()) return std::nullopt;
  if (!rope.is_object()) {
    reader.AddWrong(key, rope, "an object");
    return std::nullopt;
  }
  const std::optional<RopeScalingKind> kind = ReadKind(reader, key, rope);
  if (!kind) return std::nullopt;
  const size_t mistakes_before = reader.mistakes().size();
  RopeScaling scaling{.kind = *kind};
  VisitDials(scaling, [&](const char* dial, auto& value) {
    const std::string name = absl::StrCat(key, ".", dial);
    const auto found = rope.find(dial);
    if (found == rope.end() || found->is_null()) return reader.Add(name + " is missing");
    ReadDial(reader, name, *found, value);
  });
  if (reader.mistakes().size() != mistakes_before) return std::nullopt;
  return scaling;
}

double ReadTheta(ConfigReader& reader) {
  constexpr double kDefault = 10000;  // of all three families, where the file says nothing
  const double older = reader.Number("rope_theta", 0);
  const Json& rope = reader.At(kNewer);
  if (!rope.is_object() || !rope.contains("rope_theta")) return older == 0 ? kDefault : older;
  const Json& theta = rope["rope_theta"];
  if (!theta.is_number()) {
    reader.AddWrong("rope_parameters.rope_theta", theta, "a number");
    return kDefault;
  }
  if (older != 0 && theta.get<double>() != older) {
    reader.Add("rope_theta and rope_parameters.rope_theta differ");
  }
  return theta.get<double>();
}

void CheckPartial(ConfigReader& reader) {
  bool whole = reader.Number("partial_rotary_factor", 1) == 1;
  const Json& rope = reader.At(kNewer);
  if (rope.is_object() && rope.contains("partial_rotary_factor")) {
    whole = whole && rope["partial_rotary_factor"] == 1;
  }
  if (!whole) reader.Add("partial_rotary_factor is not 1, which is not supported");
}

}  // namespace

void WriteRope(const Blueprint& b, OrderedJson& config) {
  OrderedJson scaling;
  scaling["rope_type"] = RopeScalingName(b.rope_scaling.kind);
  VisitDials(b.rope_scaling, [&](const char* name, auto value) { scaling[name] = value; });
  OrderedJson parameters;
  parameters["rope_theta"] = b.rope_theta;
  parameters.update(scaling);
  config[kNewer] = std::move(parameters);
  if (b.rope_scaling != RopeScaling{}) config[kOlder] = std::move(scaling);
  config["rope_theta"] = b.rope_theta;
}

void ReadRope(ConfigReader& reader, Blueprint& b) {
  b.rope_theta = ReadTheta(reader);
  const std::optional<RopeScaling> older = ReadScaling(reader, kOlder);
  const std::optional<RopeScaling> newer = ReadScaling(reader, kNewer);
  if (older && newer && *older != *newer) {
    reader.Add("rope_scaling and rope_parameters scale differently");
  }
  b.rope_scaling = newer.value_or(older.value_or(RopeScaling{}));
  CheckPartial(reader);
}

}  // namespace floe::model
