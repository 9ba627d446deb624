// The order of the stages: the one place to read it off, and to change it.
#pragma once

#include <cstdint>
#include <functional>

#include <boost/asio/any_io_executor.hpp>

#include "base/clock.h"
#include "gateway/cache/answer_cache.h"
#include "gateway/limits/rate_limits.h"
#include "gateway/pipeline.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Borrowed; thread-safe.
struct Ports {
  KeyLookup& keys;
  Policies& policies;
  limits::RateLimits& limits;
  Models& models;
  Retriever& retriever;
  PromptEncoder& prompts;
  cache::AnswerCache& cache;
  Generator& generator;
  Embedder& embedder;
  const Prices& prices;
  Budgets& budgets;
  WorkflowSteps& steps;
  UsageLog& usage;
  std::function<uint64_t()> draw_seed;  // for requests that bring none; thread-safe
  const Clock& clock;
  boost::asio::any_io_executor background = {};  // for what would keep an I/O thread; none: inline
};

// For requests that generate.
Pipeline GeneratingPipeline(const Ports& ports);

// For texts that become vectors: the same, without what only an answer needs.
Pipeline EmbeddingPipeline(const Ports& ports);

// For requests that only look: who is it, and may they.
Pipeline LookingPipeline(const Ports& ports);

}  // namespace floe::gateway
