#include "trainer/spec/reading.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/view.h"

namespace floe::trainer {

void ReadKind(YamlMap& map, std::string_view expected) {
  std::string kind(expected);
  map.Read("kind", kind);
  if (kind == expected) return;
  map.Fail(
      BadYaml(map.At("kind"), absl::StrCat("kind is \"", absl::CHexEscape(kind),
                                           "\"; this is a specification of ", AbslView(expected))));
}

void ReadModelId(YamlMap& map, std::string& model) {
  map.Read("model", model, Presence::kRequired);
  if (!map.At("model").IsScalar() || IsResourceId(model)) return;
  map.Fail(BadYaml(map.At("model"), absl::StrCat("model is \"", absl::CHexEscape(model),
                                                 "\"; an id is 1 to 63 of a-z 0-9 - _ . and "
                                                 "starts with a letter or digit")));
}

bool IsReference(std::string_view text, std::string_view collection) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    if (!digest.starts_with("sha256:") || !IsSha256Hex(digest.substr(7))) return false;
    text = text.substr(0, at);
  }
  return IsResourceId(text) || ParseResourceName(text, {"teams", collection}).ok();
}

void ReadReference(YamlMap& map, std::string_view key, std::string_view collection,
                   std::string& value, Presence presence) {
  map.Read(key, value, presence);
  if (!map.At(key).IsScalar() || IsReference(value, collection)) return;
  map.Fail(
      BadYaml(map.At(key), absl::StrCat(AbslView(key), " is \"", absl::CHexEscape(value),
                                        "\"; write its id or teams/<team>/", AbslView(collection),
                                        "/<id>, with @sha256:<digest> for one revision")));
  value.clear();
}

bool IsModelReference(std::string_view text) {
  if (text.starts_with("sha256:")) return IsSha256Hex(text.substr(7));
  const size_t at = text.find('@');
  const std::string_view model = text.substr(0, at);
  const std::string_view which = at == std::string_view::npos ? "" : text.substr(at + 1);
  const bool digest = which.starts_with("sha256:") && IsSha256Hex(which.substr(7));
  if (ParseResourceName(model, {"teams", "models", "versions"}).ok()) {
    return at == std::string_view::npos || digest;
  }
  return IsResourceId(model) && (at == std::string_view::npos || digest || IsResourceId(which));
}

void ReadTrainKeys(YamlMap& map, TrainSettings& train, std::string& schedule) {
  const IntRange count{.least = 1, .most = kMaxCount};
  map.Read("steps", train.steps, count, Presence::kRequired);
  map.Read("batch_size", train.batch_size, {.least = 1, .most = 1 << 16});
  map.Read("gradient_accumulation", train.gradient_accumulation, {.least = 1, .most = 1 << 16});
  map.Read("warmup_steps", train.warmup_steps, {.least = 0, .most = kMaxCount});
  map.Read("schedule", schedule);
  map.Read("seed", train.seed);
  map.Read("eval_interval", train.eval_interval, count);
  if (map.Has("sample_interval")) {
    map.Read("sample_interval", train.sample_interval.emplace(), {.least = 0, .most = kMaxCount});
  }
  map.Read("checkpoint_interval", train.checkpoint_interval, count);
  map.Read("keep_last", train.keep_last, {.least = 2, .most = 1000});
  map.Read("keep_every", train.keep_every, {.least = 0, .most = kMaxCount});
  map.Read("keep_best", train.keep_best);
  map.Read("early_stopping", train.early_stopping, {.least = 0, .most = kMaxCount});
  map.Read("max_rewinds", train.max_rewinds, {.least = 0, .most = 1000});
  map.Read("spike_factor", train.spike_factor, {.least = 0, .most = 1e6});
  map.Read("learning_rate", train.learning_rate, {.least = 0, .most = 10, .above_least = true});
  map.Read("min_learning_rate", train.min_learning_rate, {.least = 0, .most = 10});
  map.Read("decay_fraction", train.decay_fraction, {.least = 0, .most = 1});
  std::string optimizer(OptimizerName(train.optimizer));
  map.Read("optimizer", optimizer);
  if (optimizer != "adamw" && optimizer != "muon") {
    map.Fail(BadYaml(
        map.At("optimizer"),
        absl::StrCat("optimizer is \"", absl::CHexEscape(optimizer), "\"; known are adamw, muon")));
  }
  train.optimizer = optimizer == "muon" ? OptimizerKind::kMuon : OptimizerKind::kAdamW;
  map.Read("muon_learning_rate", train.muon_learning_rate,
           {.least = 0, .most = 10, .above_least = true});
  map.Read("weight_decay", train.weight_decay, {.least = 0, .most = 10});
  map.Read("beta1", train.beta1, {.least = 0, .most = 1, .below_most = true});
  map.Read("beta2", train.beta2, {.least = 0, .most = 1, .below_most = true});
  map.Read("grad_clip", train.grad_clip, {.least = 0, .most = 1e6});
}

void CheckTrainKeys(YamlMap& map, TrainSettings& train, const std::string& schedule) {
  const auto fail = [&](const char* key, const std::string& what) {
    map.Fail(BadYaml(map.At(key), what));
  };
  if (schedule != "wsd" && schedule != "cosine") {
    fail("schedule",
         absl::StrCat("schedule is \"", absl::CHexEscape(schedule), "\"; known are cosine, wsd"));
  }
  train.schedule = schedule == "wsd" ? ScheduleKind::kWsd : ScheduleKind::kCosine;
  if (train.warmup_steps > train.steps) {
    fail("warmup_steps", absl::StrCat("warmup_steps is ", train.warmup_steps,
                                      ", more than the steps ", train.steps));
  }
  if (train.min_learning_rate > train.learning_rate) {
    fail("min_learning_rate", absl::StrCat("min_learning_rate is ", train.min_learning_rate,
                                           ", more than learning_rate ", train.learning_rate));
  }
  if (train.spike_factor > 0 && train.spike_factor <= 1) {
    fail("spike_factor",
         absl::StrCat("spike_factor is ", train.spike_factor,
                      "; a spike is above the recent mean: give more than 1, or 0"));
  }
  if (train.spike_factor > 0 && train.max_rewinds == 0) {
    fail("spike_factor",
         "spike_factor without max_rewinds: say how often a spike may be gone back from");
  }
}

// What a run keeps, tells and how it goes back is left out where it is not asked for: a run's
// identity, which is made of this, is then that of runs from before these keys were there.
nlohmann::ordered_json TrainJson(const TrainSettings& train) {
  nlohmann::ordered_json json = {{"steps", train.steps},
                                 {"batch_size", train.batch_size},
                                 {"gradient_accumulation", train.gradient_accumulation},
                                 {"learning_rate", train.learning_rate},
                                 {"min_learning_rate", train.min_learning_rate},
                                 {"warmup_steps", train.warmup_steps},
                                 {"schedule", std::string(ScheduleName(train.schedule))},
                                 {"decay_fraction", train.decay_fraction},
                                 {"optimizer", std::string(OptimizerName(train.optimizer))},
                                 {"muon_learning_rate", train.muon_learning_rate},
                                 {"weight_decay", train.weight_decay},
                                 {"beta1", train.beta1},
                                 {"beta2", train.beta2},
                                 {"grad_clip", train.grad_clip},
                                 {"seed", train.seed},
                                 {"eval_interval", train.eval_interval},
                                 {"checkpoint_interval", train.checkpoint_interval}};
  const TrainSettings plain;
  if (train.sample_interval) json["sample_interval"] = *train.sample_interval;
  if (train.keep_last != plain.keep_last) json["keep_last"] = train.keep_last;
  if (train.keep_every != plain.keep_every) json["keep_every"] = train.keep_every;
  if (train.keep_best) json["keep_best"] = true;
  if (train.early_stopping > 0) json["early_stopping"] = train.early_stopping;
  if (train.max_rewinds > 0) json["max_rewinds"] = train.max_rewinds;
  if (train.spike_factor > 0) json["spike_factor"] = train.spike_factor;
  return json;
}

std::string_view OptimizerName(OptimizerKind kind) {
  return kind == OptimizerKind::kMuon ? "muon" : "adamw";
}

std::string_view PrecisionName(PrecisionKind kind) {
  return kind == PrecisionKind::kBf16 ? "bf16" : "f32";
}

std::string_view DeviceKindName(DeviceKind kind) {
  return kind == DeviceKind::kCuda ? "cuda" : "cpu";
}

std::string_view ScheduleName(ScheduleKind kind) {
  return kind == ScheduleKind::kWsd ? "wsd" : "cosine";
}

}  // namespace floe::trainer
