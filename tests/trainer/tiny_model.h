// A model that trains in a moment.
#pragma once

#include "model/blueprint.h"

namespace floe::trainer {

inline model::Blueprint TinyBlueprint(model::Family family = model::Family::kQwen3) {
  model::Blueprint dials;
  dials.family = family;
  dials.vocab_size = 403;
  dials.hidden_size = 32;
  dials.num_layers = 2;
  dials.num_heads = 4;
  dials.num_kv_heads = 2;
  dials.head_dim = 16;  // not hidden_size / num_heads
  dials.ffn_hidden = 56;
  dials.context = 48;
  dials.rope_theta = 10000;
  if (family == model::Family::kGpt2) {
    dials.ffn = model::FfnKind::kPlain;
    dials.num_kv_heads = dials.num_heads;
    dials.head_dim = dials.hidden_size / dials.num_heads;
  }
  return dials;
}

}  // namespace floe::trainer
