#include "gateway/stages.h"

#include "gateway/stages/admit.h"
#include "gateway/stages/answer.h"
#include "gateway/stages/cache.h"
#include "gateway/stages/embed.h"
#include "gateway/stages/generate.h"
#include "gateway/stages/guard_input.h"
#include "gateway/stages/guard_output.h"
#include "gateway/stages/identify.h"
#include "gateway/stages/policy.h"
#include "gateway/stages/quote.h"
#include "gateway/stages/reserve.h"
#include "gateway/stages/retrieve.h"
#include "gateway/stages/settle.h"

namespace floe::gateway {

Pipeline GeneratingPipeline(const Ports& ports) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(std::make_unique<IdentifyStage>(ports.keys));
  stages.push_back(std::make_unique<AdmitStage>(ports.policies, ports.limits));
  stages.push_back(std::make_unique<PolicyStage>(ports.models));
  stages.push_back(std::make_unique<GuardInputStage>(ports.prompts, ports.background));
  stages.push_back(std::make_unique<RetrieveStage>(
      RetrieveStage::Parts{ports.retriever, ports.prompts, ports.clock, ports.background}));
  stages.push_back(std::make_unique<QuoteStage>(
      QuoteStage::Parts{ports.prompts, ports.prices, ports.limits, ports.draw_seed}));
  stages.push_back(std::make_unique<CacheStage>(ports.cache));
  stages.push_back(std::make_unique<ReserveStage>(
      ReserveStage::Parts{ports.budgets, ports.steps, ports.usage, ports.clock}));
  stages.push_back(std::make_unique<GenerateStage>(ports.generator, ports.clock));
  stages.push_back(std::make_unique<GuardOutputStage>());
  stages.push_back(
      std::make_unique<SettleStage>(SettlementParts{ports.budgets, ports.usage, ports.clock}));
  stages.push_back(std::make_unique<AnswerStage>());
  return Pipeline(std::move(stages), ports.clock);
}

Pipeline EmbeddingPipeline(const Ports& ports) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(std::make_unique<IdentifyStage>(ports.keys));
  stages.push_back(std::make_unique<AdmitStage>(ports.policies, ports.limits));
  stages.push_back(std::make_unique<PolicyStage>(ports.models));
  stages.push_back(std::make_unique<GuardInputStage>(ports.prompts, ports.background));
  stages.push_back(std::make_unique<QuoteStage>(
      QuoteStage::Parts{ports.prompts, ports.prices, ports.limits, ports.draw_seed}));
  stages.push_back(std::make_unique<ReserveStage>(
      ReserveStage::Parts{ports.budgets, ports.steps, ports.usage, ports.clock}));
  stages.push_back(std::make_unique<EmbedStage>(ports.embedder));
  stages.push_back(
      std::make_unique<SettleStage>(SettlementParts{ports.budgets, ports.usage, ports.clock}));
  stages.push_back(std::make_unique<AnswerStage>());
  return Pipeline(std::move(stages), ports.clock);
}

Pipeline LookingPipeline(const Ports& ports) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(std::make_unique<IdentifyStage>(ports.keys));
  return Pipeline(std::move(stages), ports.clock);
}

}  // namespace floe::gateway
