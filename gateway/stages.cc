#include "gateway/stages.h"

#include "gateway/stages/answer.h"
#include "gateway/stages/generate.h"
#include "gateway/stages/identify.h"
#include "gateway/stages/policy.h"
#include "gateway/stages/quote.h"

namespace floe::gateway {

Pipeline GeneratingPipeline(const Ports& ports) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(std::make_unique<Identify>(ports.keys));
  stages.push_back(std::make_unique<Policy>(ports.models));
  stages.push_back(std::make_unique<Quote>(ports.prompts, ports.draw_seed));
  stages.push_back(std::make_unique<Generate>(ports.generator));
  stages.push_back(std::make_unique<Answer>());
  return Pipeline(std::move(stages), ports.clock);
}

Pipeline LookingPipeline(const Ports& ports) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(std::make_unique<Identify>(ports.keys));
  return Pipeline(std::move(stages), ports.clock);
}

}  // namespace floe::gateway
