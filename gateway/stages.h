// The order of the stages: the one place to read it off, and to change it.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "gateway/pipeline.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Borrowed; thread-safe.
struct Ports {
  KeyLookup& keys;
  Models& models;
  PromptEncoder& prompts;
  Generator& generator;
  std::function<uint64_t()> draw_seed;  // for requests that bring none; thread-safe
  const Clock& clock;
};

// For requests that generate.
Pipeline GeneratingPipeline(const Ports& ports);

// For requests that only look: who is it, and may they.
Pipeline LookingPipeline(const Ports& ports);

}  // namespace floe::gateway
