#include "trainer/inspection/report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

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

// Members that are not there, or of another type, throw nlohmann's exceptions.
LayerRoles LayerOf(const Json& json) {
  LayerRoles layer;
  json.at("attention_rms").get_to(layer.attention_rms);
  json.at("ffn_rms").get_to(layer.ffn_rms);
  json.at("residual_rms").get_to(layer.residual_rms);
  json.at("read_out_loss").get_to(layer.read_out_loss);
  for (const Json& head : json.at("heads")) {
    layer.heads.push_back({.previous_token = head.at("previous_token").get<double>(),
                           .first_token = head.at("first_token").get<double>(),
                           .induction = head.at("induction").get<double>()});
  }
  return layer;
}

Inspection InspectionOf(const Json& json) {
  Inspection inspection;
  json.at("subject").get_to(inspection.subject);
  json.at("loss").get_to(inspection.loss);
  for (const Json& one : json.at("components")) {
    inspection.components.push_back({one.at("name").get<std::string>(),
                                     one.at("parameters").get<int64_t>(),
                                     one.at("share").get<double>()});
  }
  json.at("embedding").at("rms").get_to(inspection.embedding_rms);
  json.at("embedding").at("read_out_loss").get_to(inspection.embedding_read_out_loss);
  for (const Json& layer : json.at("layers")) inspection.layers.push_back(LayerOf(layer));
  for (const Json& one : json.at("neighbours")) {
    Neighbours neighbours{one.at("token").get<std::string>(), {}};
    for (const Json& near : one.at("nearest")) {
      neighbours.nearest.emplace_back(near.at("token").get<std::string>(),
                                      near.at("cosine").get<double>());
    }
    inspection.neighbours.push_back(std::move(neighbours));
  }
  return inspection;
}

}  // namespace

absl::StatusOr<InspectionReport> ParseInspectionJson(std::string_view json) {
  try {
    const Json root = Json::parse(json);
    return InspectionReport{root.at("text_tokens").get<int64_t>(), InspectionOf(root.at("before")),
                            InspectionOf(root.at("after"))};
  } catch (const Json::exception& error) {
    return absl::DataLossError(absl::StrCat("this is no inspection's report: ", error.what()));
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
