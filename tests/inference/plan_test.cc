#include "inference/scheduler/plan.h"

#include <array>
#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::inference {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SequenceState Decoding(RequestId id, int64_t computed) {
  return {id, true, computed, 1, (computed + 15) / 16};
}
SequenceState Prefilling(RequestId id, int64_t computed, int64_t pending) {
  return {id, true, computed, pending, (computed + 15) / 16};
}
SequenceState Waiting(RequestId id, int64_t pending) { return {id, false, 0, pending, 0}; }

Snapshot Of(std::vector<SequenceState> sequences, int64_t free_blocks = 1000) {
  Snapshot snapshot;
  snapshot.sequences = std::move(sequences);
  snapshot.free_blocks = free_blocks;
  snapshot.limits = {.max_running = 4, .max_step_tokens = 64, .prefill_tokens = 32};
  return snapshot;
}

PlannedPart Part(RequestId id, int64_t tokens) { return {id, tokens}; }

TEST(PlanStep, NothingToDoIsAnEmptyPlan) { EXPECT_THAT(PlanStep(Of({})).parts, IsEmpty()); }

TEST(PlanStep, DecodersGoOnBesideALongPrompt) {
  EXPECT_THAT(PlanStep(Of({Prefilling(1, 100, 400), Decoding(2, 20), Decoding(3, 30)})).parts,
              ElementsAre(Part(1, 32), Part(2, 1), Part(3, 1)));
}

TEST(PlanStep, APromptAloneGetsTheWholeStep) {
  EXPECT_THAT(PlanStep(Of({Waiting(1, 400)})).parts, ElementsAre(Part(1, 64)));
}

TEST(PlanStep, AShortPromptDoesNotWaitForALongOne) {
  EXPECT_THAT(PlanStep(Of({Prefilling(1, 64, 400), Waiting(2, 10)})).parts,
              ElementsAre(Part(1, 54), Part(2, 10)));
}

TEST(PlanStep, AdmissionStopsAtTheRunningLimitAndOvertakesNobody) {
  EXPECT_THAT(
      PlanStep(Of({Decoding(1, 5), Decoding(2, 5), Decoding(3, 5), Waiting(4, 9), Waiting(5, 2)}))
          .parts,
      ElementsAre(Part(1, 1), Part(2, 1), Part(3, 1), Part(4, 9)));
  // 4 needs ten blocks, five are free: 5 does not slip past it.
  EXPECT_THAT(PlanStep(Of({Decoding(1, 5), Waiting(4, 160), Waiting(5, 2)}, 5)).parts,
              ElementsAre(Part(1, 1)));
}

TEST(PlanStep, AdmissionLeavesTheBlocksThatPromptsInWorkStillNeed) {
  EXPECT_THAT(PlanStep(Of({Prefilling(1, 16, 64), Waiting(2, 32)}, 5)).parts,
              ElementsAre(Part(1, 64)));
}

TEST(PlanStep, TheYoungestGivesWayWhenBlocksRunOut) {
  const Plan plan = PlanStep(Of({Decoding(1, 32), Decoding(2, 20), Decoding(3, 32)}, 0));
  EXPECT_THAT(plan.preempt, ElementsAre(3));
  EXPECT_THAT(plan.parts, ElementsAre(Part(1, 1), Part(2, 1)));
}

TEST(PlanStep, TheYoungestItselfWaitsWhenNobodyIsYounger) {
  const Plan plan = PlanStep(Of({Decoding(1, 20), Decoding(2, 32)}, 0));
  EXPECT_THAT(plan.preempt, IsEmpty());
  EXPECT_THAT(plan.parts, ElementsAre(Part(1, 1)));
}

TEST(PlanStep, PromptsThatHoldEachOtherUpAreUntied) {
  const Plan plan = PlanStep(Of({Prefilling(1, 32, 50), Prefilling(2, 32, 50)}, 0));
  EXPECT_THAT(plan.preempt, ElementsAre(2));
  EXPECT_THAT(plan.parts, ElementsAre(Part(1, 32)));
}

TEST(PlanStep, ASequencesOwnLimitHolds) {
  SequenceState scoring = Waiting(1, 400);
  scoring.max_part = 7;
  EXPECT_THAT(PlanStep(Of({scoring})).parts, ElementsAre(Part(1, 7)));
}

// Random lives of sequences under a small pool: the plan always fits, and all of them finish.
TEST(PlanStep, AlwaysFitsAndAlwaysGetsThere) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const int64_t total = 12;
    Snapshot snapshot = Of({});
    std::map<RequestId, int64_t> left;  // tokens still to generate
    for (RequestId id = 1; id <= 12; ++id) {
      snapshot.sequences.push_back(Waiting(id, 1 + random() % 100));
      // Every other life has tiers.
      if (seed % 2 == 1) snapshot.sequences.back().tier = static_cast<ServiceTier>(random() % 3);
      left[id] = 1 + random() % 90;
    }
    int steps = 0;
    while (!snapshot.sequences.empty()) {
      ASSERT_LT(++steps, 5000) << "seed " << seed;
      int64_t held = 0;
      for (const auto& s : snapshot.sequences) held += s.blocks;
      snapshot.free_blocks = total - held;
      const Plan plan = PlanStep(snapshot);
      ASSERT_THAT(plan.parts, testing::Not(IsEmpty())) << "seed " << seed << " step " << steps;
      for (const RequestId id : plan.preempt) {
        for (auto& s : snapshot.sequences) {
          if (s.id != id) continue;
          const ServiceTier tier = s.tier;
          s = Waiting(id, s.computed + s.pending);
          s.tier = tier;
        }
      }
      int64_t tokens = 0;
      int64_t blocks = 0;
      for (const PlannedPart& part : plan.parts) {
        for (auto& s : snapshot.sequences) {
          if (s.id != part.id) continue;
          s.running = true;
          s.computed += part.tokens;
          s.pending -= part.tokens;
          s.blocks = (s.computed + 15) / 16;
          if (s.pending == 0 && --left[s.id] > 0) s.pending = 1;
        }
        tokens += part.tokens;
      }
      for (const auto& s : snapshot.sequences) blocks += s.blocks;
      ASSERT_LE(tokens, 64);
      ASSERT_LE(blocks, total) << "seed " << seed << " step " << steps;
      std::erase_if(snapshot.sequences, [](const auto& s) { return s.pending == 0; });
    }
  }
}

SequenceState InTier(SequenceState state, ServiceTier tier) {
  state.tier = tier;
  return state;
}
constexpr auto kFlex = ServiceTier::kFlex;
constexpr auto kDefault = ServiceTier::kDefault;
constexpr auto kPriority = ServiceTier::kPriority;

TEST(PlanStepTiers, HigherTiersAreAdmittedFirst) {
  Snapshot snapshot =
      Of({Decoding(1, 5), Decoding(2, 5), Decoding(3, 5), InTier(Waiting(4, 9), kFlex),
          InTier(Waiting(5, 9), kDefault), InTier(Waiting(6, 9), kPriority)});
  snapshot.worked = {400, 400, 200};
  EXPECT_THAT(PlanStep(snapshot).parts,
              ElementsAre(Part(1, 1), Part(2, 1), Part(3, 1), Part(6, 9)));
}

TEST(PlanStepTiers, ATierBelowItsGuaranteedShareGoesFirst) {
  Snapshot snapshot = Of({InTier(Decoding(1, 5), kPriority), InTier(Decoding(2, 5), kPriority),
                          InTier(Decoding(3, 5), kPriority), InTier(Waiting(4, 9), kPriority),
                          InTier(Waiting(5, 9), kFlex)});
  snapshot.worked = {5, 300, 695};
  EXPECT_THAT(PlanStep(snapshot).parts,
              ElementsAre(Part(1, 1), Part(2, 1), Part(3, 1), Part(5, 9)));
}

TEST(PlanStepTiers, PriorityTakesTheSlotOfTheYoungestOfTheLowestTier) {
  Snapshot snapshot = Of({InTier(Decoding(1, 20), kFlex), InTier(Decoding(2, 20), kFlex),
                          InTier(Decoding(3, 20), kDefault), InTier(Decoding(4, 20), kDefault),
                          InTier(Waiting(5, 9), kPriority)});
  snapshot.worked = {500, 500, 0};
  const Plan plan = PlanStep(snapshot);
  EXPECT_THAT(plan.preempt, ElementsAre(2));
  EXPECT_THAT(plan.parts, ElementsAre(Part(1, 1), Part(3, 1), Part(4, 1), Part(5, 9)));
}

TEST(PlanStepTiers, ATierThatHasNotHadItsShareKeepsItsSlots) {
  Snapshot snapshot = Of({InTier(Decoding(1, 20), kFlex), InTier(Decoding(2, 20), kPriority),
                          InTier(Decoding(3, 20), kPriority), InTier(Decoding(4, 20), kPriority),
                          InTier(Waiting(5, 9), kPriority)});
  snapshot.worked = {50, 0, 950};
  EXPECT_THAT(PlanStep(snapshot).preempt, IsEmpty());
}

TEST(PlanStepTiers, LowerTiersGiveBlocksFirst) {
  // Both are at a block's end and none is free: the younger one is of the higher tier.
  const Plan plan =
      PlanStep(Of({InTier(Decoding(1, 32), kFlex), InTier(Decoding(2, 32), kPriority)}, 0));
  EXPECT_THAT(plan.preempt, ElementsAre(1));
  EXPECT_THAT(plan.parts, ElementsAre(Part(2, 1)));
}

TEST(PlanStepTiers, PromptsOfHigherTiersLeaveLowerOnesTheirShare) {
  const Snapshot snapshot =
      Of({InTier(Prefilling(1, 16, 400), kFlex), InTier(Prefilling(2, 16, 400), kDefault),
          InTier(Prefilling(3, 16, 400), kPriority)});
  // Of 64: flex is sure of a tenth, default of three tenths.
  EXPECT_THAT(PlanStep(snapshot).parts, ElementsAre(Part(1, 6), Part(2, 19), Part(3, 39)));
}

SequenceState Due(SequenceState state, int64_t seconds) {
  state.deadline = absl::Seconds(seconds);
  return state;
}

// One slot is free, at second 100; nobody lacks a share.
std::vector<PlannedPart> FirstOf(std::vector<SequenceState> waiting) {
  Snapshot snapshot = Of(std::move(waiting));
  snapshot.limits.max_running = 1;
  snapshot.now = absl::Seconds(100);
  snapshot.limits.guaranteed_share = {};
  return PlanStep(snapshot).parts;
}

TEST(PlanStepDeadlines, TheEarliestGoesFirstOverAllTiers) {
  EXPECT_THAT(FirstOf({Due(InTier(Waiting(1, 9), kPriority), 102),
                       Due(InTier(Waiting(2, 9), kDefault), 101), InTier(Waiting(3, 9), kFlex)}),
              ElementsAre(Part(2, 9)));
  EXPECT_THAT(FirstOf({Due(Waiting(1, 9), 105), Due(Waiting(2, 9), 104)}), ElementsAre(Part(2, 9)));
}

TEST(PlanStepDeadlines, WhatIsLateMakesNobodyElseLate) {
  EXPECT_THAT(FirstOf({Due(InTier(Waiting(1, 9), kPriority), 99),
                       Due(InTier(Waiting(2, 9), kDefault), 101)}),
              ElementsAre(Part(2, 9)));
  EXPECT_THAT(FirstOf({Due(InTier(Waiting(1, 9), kDefault), 10),
                       Due(InTier(Waiting(2, 9), kPriority), 99)}),
              ElementsAre(Part(2, 9)));
}

TEST(PlanStepDeadlines, WhatWasPreemptedKeepsItsPlace) {
  SequenceState resumed = Due(Waiting(2, 9), 200);
  resumed.resumed = true;
  EXPECT_THAT(FirstOf({Due(Waiting(1, 9), 101), resumed}), ElementsAre(Part(2, 9)));
}

TEST(PlanStepTiers, PriorityTakesALowerSlotWhileATierBelowItsShareWaitsForTheNextOne) {
  Snapshot snapshot = Of({InTier(Decoding(1, 20), kDefault), InTier(Waiting(2, 9), kFlex),
                          InTier(Waiting(3, 9), kPriority)});
  snapshot.limits.max_running = 1;
  snapshot.worked = {0, 900, 100};
  const Plan plan = PlanStep(snapshot);
  EXPECT_THAT(plan.preempt, ElementsAre(1));
  EXPECT_THAT(plan.parts, ElementsAre(Part(3, 9)));
}

// A scheduler in small: 1 slot, requests of one token, every tier always has ten waiting.
TEST(PlanStepTiers, NoTierStarvesUnderAFlood) {
  Snapshot snapshot = Of({});
  snapshot.limits.max_running = 1;
  std::array<int, kNumTiers> served = {};
  for (int step = 0; step < 1000; ++step) {
    snapshot.sequences = {InTier(Waiting(0, 8), kFlex), InTier(Waiting(1, 8), kDefault),
                          InTier(Waiting(2, 8), kPriority)};
    const Plan plan = PlanStep(snapshot);
    ASSERT_EQ(plan.parts.size(), 1u);
    const auto tier = static_cast<size_t>(plan.parts[0].id);
    ++served[tier];
    snapshot.worked[tier] += 8;
  }
  EXPECT_NEAR(served[0], 100, 2);
  EXPECT_NEAR(served[1], 300, 2);
  EXPECT_NEAR(served[2], 600, 4);
}

}  // namespace
}  // namespace floe::inference
