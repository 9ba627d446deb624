#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "model/checkpoint.h"
#include "model/presets.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// The files as their publishers distribute them, less what says nothing about the model.
const std::map<std::string, std::string>& Published() {
  static const auto& files = *new std::map<std::string, std::string>{{"gpt2", R"({
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768,
        "n_head": 12, "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1,
        "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
        "summary_type": "cls_index", "summary_use_proj": true,
        "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
        "vocab_size": 50257})"},
                                                                     {"llama-2-7b", R"({
        "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
        "intermediate_size": 11008, "max_position_embeddings": 4096, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
        "tie_word_embeddings": false, "torch_dtype": "float16", "transformers_version": "4.31.0",
        "use_cache": true, "vocab_size": 32000})"},
                                                                     {"llama-3-8b", R"({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 4096,
        "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 8192,
        "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
        "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "use_cache": true, "vocab_size": 128256})"},
                                                                     {"qwen2.5-0.5b", R"({
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
        "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        "use_cache": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936})"},
                                                                     {"qwen3-0.6b", R"({
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3072,
        "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
        "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151936})"},
                                                                     {"smollm2-135m", R"({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
        "initializer_range": 0.041666666666666664, "intermediate_size": 1536,
        "is_llama_config": true, "max_position_embeddings": 8192, "model_type": "llama",
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false,
        "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 49152})"}};
  return files;
}

std::string Mistake(const std::string& json) {
  const auto blueprint = ParseConfigJson(json);
  EXPECT_EQ(blueprint.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(blueprint.status().message());
}

// Qwen3-0.6B's file with members changed.
std::string Qwen3With(const Json& changes) {
  Json config = Json::parse(Published().at("qwen3-0.6b"));
  config.update(changes);
  return config.dump();
}

TEST(ConfigJson, PublishedFilesGiveThePresets) {
  for (const auto& [name, json] : Published()) {
    const auto blueprint = ParseConfigJson(json);
    ASSERT_TRUE(blueprint.ok()) << name << ": " << blueprint.status();
    EXPECT_EQ(*blueprint, *Preset(name)) << name;
  }
}

TEST(ConfigJson, WhatIsWrittenIsReadBack) {
  for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2}) {
    Blueprint b = SmallBlueprint(family);
    for (const bool tied : {true, false}) {
      b.tie_embeddings = tied;
      const auto back = ParseConfigJson(ConfigJson(b));
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(*back, b);
    }
  }
  Blueprint plain = SmallBlueprint(Family::kLlama);
  plain.ffn = FfnKind::kPlain;
  EXPECT_EQ(*ParseConfigJson(ConfigJson(plain)), plain);
}

TEST(ConfigJson, HoldsTheKeysThatServingStacksRead) {
  const Json qwen3 = Json::parse(ConfigJson(SmallBlueprint(Family::kQwen3)));
  for (const char* key : {"architectures",
                          "model_type",
                          "vocab_size",
                          "hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "head_dim",
                          "hidden_act",
                          "max_position_embeddings",
                          "rms_norm_eps",
                          "initializer_range",
                          "tie_word_embeddings",
                          "attention_bias",
                          "rope_theta",
                          "rope_parameters",
                          "use_sliding_window",
                          "sliding_window",
                          "max_window_layers"}) {
    EXPECT_TRUE(qwen3.contains(key)) << key;
  }
  EXPECT_EQ(qwen3["architectures"][0], "Qwen3ForCausalLM");
  EXPECT_EQ(qwen3["rope_parameters"]["rope_theta"], qwen3["rope_theta"]);
  const Json gpt2 = Json::parse(ConfigJson(SmallBlueprint(Family::kGpt2)));
  EXPECT_EQ(gpt2["n_inner"], 24);
  EXPECT_EQ(gpt2["activation_function"], "gelu_new");
}

TEST(ConfigJson, RopeParametersOfTransformers5AreRead) {
  Json config = Json::parse(Published().at("llama-3-8b"));
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_theta", 250000.0}, {"rope_type", "default"}};
  EXPECT_EQ(ParseConfigJson(config.dump())->rope_theta, 250000.0);
  config["rope_theta"] = 500000.0;
  EXPECT_THAT(Mistake(config.dump()), HasSubstr("differ"));
}

TEST(ConfigJson, WhatTheEnginesDoNotComputeIsRefusedByName) {
  EXPECT_THAT(Mistake(Qwen3With({{"attention_bias", true}})), HasSubstr("attention_bias is true"));
  EXPECT_THAT(Mistake(Qwen3With({{"use_sliding_window", true}})), HasSubstr("use_sliding_window"));
  EXPECT_THAT(Mistake(Qwen3With({{"layer_types", {"full_attention", "sliding_attention"}}})),
              HasSubstr("layer_types is \"sliding_attention\""));
  EXPECT_THAT(Mistake(Qwen3With({{"hidden_act", "gelu"}})), HasSubstr("hidden_act is \"gelu\""));
  EXPECT_THAT(Mistake(Qwen3With({{"quantization_config", {{"bits", 4}}}})),
              HasSubstr("quantization_config"));
  EXPECT_THAT(Mistake(Qwen3With({{"model_type", "mixtral"}})), HasSubstr("\"mixtral\""));
  EXPECT_THAT(Mistake(Qwen3With({{"partial_rotary_factor", 0.5}})), HasSubstr("partial_rotary"));
}

TEST(ConfigJson, OneAnswerNamesEveryMistake) {
  EXPECT_THAT(Mistake(Qwen3With({{"hidden_size", "1024"},
                                 {"vocab_size", nullptr},
                                 {"rope_theta", "big"},
                                 {"tie_word_embeddings", 1},
                                 {"num_hidden_layers", -3}})),
              AllOf(HasSubstr("hidden_size is \"1024\"; must be a whole number"),
                    HasSubstr("vocab_size is missing"), HasSubstr("rope_theta is \"big\""),
                    HasSubstr("tie_word_embeddings is 1"), HasSubstr("num_hidden_layers is -3")));
}

TEST(ConfigJson, DialsThatDoNotFitTogetherAreRefused) {
  EXPECT_THAT(Mistake(Qwen3With({{"num_key_value_heads", 5}})), HasSubstr("must divide num_heads"));
  Json config = Json::parse(Published().at("llama-2-7b"));
  config["num_attention_heads"] = 30;
  EXPECT_THAT(Mistake(config.dump()), HasSubstr("multiple of num_attention_heads"));
}

TEST(ConfigJson, WhatIsNotAnObjectIsRefused) {
  EXPECT_THAT(Mistake(""), HasSubstr("not JSON"));
  EXPECT_THAT(Mistake("[]"), HasSubstr("one JSON object"));
  EXPECT_THAT(Mistake("{}"), HasSubstr("model_type"));
  EXPECT_THAT(Mistake(std::string(1 << 21, ' ')), HasSubstr("bytes; at most"));
  EXPECT_THAT(Mistake(R"({"model_type":"qwen3","model_type":"llama"})"), HasSubstr("twice"));
}

}  // namespace
}  // namespace floe::model
