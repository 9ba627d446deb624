#include "trainer/inspection/report.h"

#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const LayerRoles& layer) {
  Json heads = Json::array();
  for (const HeadRoles& head : layer.heads) {
    heads.push_back({{"previous_token", head.previous_token},
                     {"induction", head.induction},
                     {"first_token", head.first_token}});
  }
  return {{"attention_rms", layer.attention_rms},
          {"ffn_rms", layer.ffn_rms},
          {"residual_rms", layer.residual_rms},
          {"read_out_loss", layer.read_out_loss},
          {"heads", heads}};
}

Json ToJson(const Inspection& inspection) {
  Json components = Json::array(), layers = Json::array(), neighbours = Json::array();
  for (const ComponentShare& one : inspection.components) {
    components.push_back(
        {{"name", one.name}, {"parameters", one.parameters}, {"share", one.share}});
  }
  for (const LayerRoles& layer : inspection.layers) layers.push_back(ToJson(layer));
  for (const Neighbours& one : inspection.neighbours) {
    Json nearest = Json::array();
    for (const auto& [token, cosine] : one.nearest) {
      nearest.push_back({{"token", token}, {"cosine", cosine}});
    }
    neighbours.push_back({{"token", one.token}, {"nearest", nearest}});
  }
  return {
      {"subject", inspection.subject},
      {"loss", inspection.loss},
      {"components", components},
      {"embedding",
       {{"rms", inspection.embedding_rms}, {"read_out_loss", inspection.embedding_read_out_loss}}},
      {"layers", layers},
      {"neighbours", neighbours}};
}

// Members that are not there, or of another type, throw exceptions.
using Read = nlohmann::json;

int64_t Count(const Read& json) {
  const auto count = json.get_ref<const Read::number_unsigned_t&>();
  if (count > INT64_MAX) throw std::out_of_range("a count is larger than any can be");
  return static_cast<int64_t>(count);
}

LayerRoles LayerOf(const Read& json) {
  LayerRoles layer;
  json.at("attention_rms").get_to(layer.attention_rms);
  json.at("ffn_rms").get_to(layer.ffn_rms);
  json.at("residual_rms").get_to(layer.residual_rms);
  json.at("read_out_loss").get_to(layer.read_out_loss);
  for (const Read& head : json.at("heads")) {
    layer.heads.push_back({.previous_token = head.at("previous_token").get<double>(),
                           .first_token = head.at("first_token").get<double>(),
                           .induction = head.at("induction").get<double>()});
  }
  return layer;
}

Inspection InspectionOf(const Read& json) {
  Inspection inspection;
  json.at("subject").get_to(inspection.subject);
  json.at("loss").get_to(inspection.loss);
  for (const Read& one : json.at("components")) {
    inspection.components.push_back({one.at("name").get<std::string>(), Count(one.at("parameters")),
                                     one.at("share").get<double>()});
  }
  json.at("embedding").at("rms").get_to(inspection.embedding_rms);
  json.at("embedding").at("read_out_loss").get_to(inspection.embedding_read_out_loss);
  for (const Read& layer : json.at("layers")) inspection.layers.push_back(LayerOf(layer));
  for (const Read& one : json.at("neighbours")) {
    Neighbours neighbours{one.at("token").get<std::string>(), {}};
    for (const Read& near : one.at("nearest")) {
      neighbours.nearest.emplace_back(near.at("token").get<std::string>(),
                                      near.at("cosine").get<double>());
    }
    inspection.neighbours.push_back(std::move(neighbours));
  }
  return inspection;
}

}  // namespace

absl::StatusOr<InspectionReport> ParseInspectionJson(std::string_view json) {
  const auto bad = [](std::string_view why) {
    return absl::DataLossError(absl::StrCat("this is no inspection's report: ", AbslView(why)));
  };
  const auto root = ParseStrictJson(json, "it");
  if (!root.ok()) return bad(StdView(root.status().message()));
  try {
    return InspectionReport{Count(root->at("text_tokens")), InspectionOf(root->at("before")),
                            InspectionOf(root->at("after"))};
  } catch (const std::exception& error) {  // the JSON library's, and Count's
    return bad(error.what());
  }
}

std::string InspectionJson(const InspectionReport& report) {
  const Json json = {{"text_tokens", report.text_tokens},
                     {"before", ToJson(report.before)},
                     {"after", ToJson(report.after)}};
  // Bytes of a token need not be UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace floe::trainer
