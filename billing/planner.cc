#include "billing/planner.h"

#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::billing {
namespace {

constexpr int64_t kMaxNumber = 1'000'000'000'000;
constexpr int64_t kMaxSteps = 1000;
constexpr int64_t kMaxTokens = 100'000'000;  // a step's prompt may be a thousand times that
constexpr int kDaysPerMonth = 30;

absl::Status CheckRange(const Workload& w, const char* field, int64_t value, int64_t max) {
  if (value >= 0 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("workload \"", w.name, "\": ", field, " is ", value, "; it must be 0 to ", max));
}

absl::Status Check(const Workload& w) {
  FLOE_RETURN_IF_ERROR(CheckRange(w, "requests_per_day", w.requests_per_day, kMaxNumber));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "input_tokens", w.input_tokens, kMaxTokens));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "cached_percent", w.cached_percent, 100));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "output_tokens", w.output_tokens, kMaxTokens));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "retrieval_passages", w.retrieval_passages, 10'000));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "passage_tokens", w.passage_tokens, 10'000));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "agent_steps", w.agent_steps, kMaxSteps));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "tool_calls_per_step", w.tool_calls_per_step, 1000));
  FLOE_RETURN_IF_ERROR(CheckRange(w, "tool_result_tokens", w.tool_result_tokens, 100'000));
  if (w.requests_per_day > 0 && w.model.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("workload \"", w.name, "\" names no model"));
  }
  for (const absl::Duration time :
       {w.time_to_first_token, w.time_per_output_token, w.retrieval_time, w.tool_time}) {
    if (time < absl::ZeroDuration() || time > absl::Hours(24)) {
      return absl::InvalidArgumentError(
          absl::StrCat("workload \"", w.name, "\": times must lie between 0 and 24 hours"));
    }
  }
  return absl::OkStatus();
}

// Adds up one request's cost by what drives it.
class Drivers {
 public:
  Drivers(const PriceBook& book, const Workload& workload) : book_(book), workload_(workload) {}

  absl::Status AddTokens(const std::string& driver, Kind kind, int64_t tokens) {
    if (tokens == 0) return absl::OkStatus();
    FLOE_ASSIGN_OR_RETURN(const Price price,
                          book_.TokenPrice(workload_.model, workload_.tier, kind));
    FLOE_ASSIGN_OR_RETURN(const Money amount, Multiply(price.price, tokens));
    return AddAmount(driver, amount);
  }

  // The prompt, in its two prices.
  absl::Status AddPrompt(const std::string& driver) {
    const int64_t cached = CachedTokens();
    FLOE_RETURN_IF_ERROR(AddTokens(driver, Kind::kCachedInput, cached));
    return AddTokens(driver, Kind::kInput, workload_.input_tokens - cached);
  }

  absl::Status AddAmount(const std::string& driver, Money amount) {
    FLOE_ASSIGN_OR_RETURN(amounts_[driver], Add(amounts_[driver], amount));
    return absl::OkStatus();
  }

  // Calls and minimum of a charge; its tokens are driven by what put them there.
  absl::Status AddRest(const std::string& calls, const Charge& charge) {
    for (const ChargeLine& line : charge.lines) {
      if (line.kind == Kind::kCall) FLOE_RETURN_IF_ERROR(AddAmount(calls, line.amount));
      if (line.kind == Kind::kMinimum) FLOE_RETURN_IF_ERROR(AddAmount("minimum", line.amount));
    }
    return absl::OkStatus();
  }

  int64_t CachedTokens() const { return workload_.input_tokens * workload_.cached_percent / 100; }

  std::vector<CostDriver> Sorted(Money total) const {
    std::vector<CostDriver> drivers;
    for (const auto& [name, amount] : amounts_) {
      if (amount.is_zero()) continue;
      // Hundredths of a percent, rounded down: only for people to look at. The ranges that Check
      // allows keep the product far inside 128 bits.
      const Int128 share = amount.picos() * 10'000 / total.picos();
      drivers.push_back({name, amount, static_cast<double>(share) / 100});
    }
    std::stable_sort(drivers.begin(), drivers.end(),
                     [](const auto& a, const auto& b) { return a.amount > b.amount; });
    return drivers;
  }

 private:
  const PriceBook& book_;
  const Workload& workload_;
  std::map<std::string, Money> amounts_;
};

// One request, step by step.
class Walk {
 public:
  Walk(const PriceBook& book, const Workload& workload)
      : book_(book), w_(workload), drivers_(book, workload) {}

  absl::StatusOr<WorkloadPlan> Run() {
    plan_.name = w_.name;
    const int64_t steps = std::max<int64_t>(1, w_.agent_steps);
    for (int64_t number = 1; number <= steps; ++number) {
      PlannedStep step{.number = static_cast<int>(number)};
      FLOE_RETURN_IF_ERROR(number == 1 ? First(step) : Further(step));
      FLOE_RETURN_IF_ERROR(Generate(step));
      plan_.latency += step.latency;
      step.elapsed = plan_.latency;
      FLOE_ASSIGN_OR_RETURN(plan_.per_request, Add(plan_.per_request, step.cost));
      plan_.steps.push_back(step);
    }
    plan_.drivers = drivers_.Sorted(plan_.per_request);
    FLOE_ASSIGN_OR_RETURN(plan_.per_day, Multiply(plan_.per_request, w_.requests_per_day));
    return std::move(plan_);
  }

 private:
  // What the first step reads: the prompt and what was retrieved for it.
  absl::Status First(PlannedStep& step) {
    const int64_t passages = w_.retrieval_passages * w_.passage_tokens;
    if (w_.retrieval_passages > 0) {
      FLOE_RETURN_IF_ERROR(Call(step, Operation::kRetrieval, 1, "retrieval calls"));
      step.latency += w_.retrieval_time;
    }
    FLOE_RETURN_IF_ERROR(drivers_.AddPrompt("prompt"));
    context_ = passages;
    return drivers_.AddTokens("retrieved passages", Kind::kInput, passages);
  }

  // A further one reads all of that again, what was written since, and new tool results.
  absl::Status Further(PlannedStep& step) {
    const int64_t results = w_.tool_calls_per_step * w_.tool_result_tokens;
    if (w_.tool_calls_per_step > 0) {
      for (int64_t i = 0; i < w_.tool_calls_per_step; ++i) {
        FLOE_RETURN_IF_ERROR(Call(step, Operation::kTool, 1, "tool calls"));
      }
      step.latency += w_.tool_time * w_.tool_calls_per_step;
    }
    FLOE_RETURN_IF_ERROR(drivers_.AddPrompt("repeated context"));
    FLOE_RETURN_IF_ERROR(drivers_.AddTokens("repeated context", Kind::kInput, context_));
    context_ += results;
    return drivers_.AddTokens("tool results", Kind::kInput, results);
  }

  absl::Status Generate(PlannedStep& step) {
    const int64_t cached = drivers_.CachedTokens();
    Usage usage{.operation = Operation::kChat, .model = w_.model, .tier = w_.tier};
    usage.quantities = {.input_tokens = w_.input_tokens - cached + context_,
                        .cached_input_tokens = cached,
                        .output_tokens = w_.output_tokens,
                        .calls = 1};
    FLOE_ASSIGN_OR_RETURN(const Charge charge, PriceUsage(book_, usage));
    FLOE_RETURN_IF_ERROR(drivers_.AddTokens("output", Kind::kOutput, w_.output_tokens));
    FLOE_RETURN_IF_ERROR(drivers_.AddRest("model calls", charge));
    FLOE_ASSIGN_OR_RETURN(step.cost, Add(step.cost, charge.total));
    step.input_tokens = w_.input_tokens + context_;
    step.output_tokens = w_.output_tokens;
    step.latency += w_.time_to_first_token + w_.time_per_output_token * w_.output_tokens;
    context_ += w_.output_tokens;
    return absl::OkStatus();
  }

  absl::Status Call(PlannedStep& step, Operation operation, int64_t calls, const char* driver) {
    Usage usage{.operation = operation, .tier = w_.tier};
    usage.quantities.calls = calls;
    FLOE_ASSIGN_OR_RETURN(const Charge charge, PriceUsage(book_, usage));
    FLOE_RETURN_IF_ERROR(drivers_.AddRest(driver, charge));
    FLOE_ASSIGN_OR_RETURN(step.cost, Add(step.cost, charge.total));
    return absl::OkStatus();
  }

  const PriceBook& book_;
  const Workload& w_;
  Drivers drivers_;
  WorkloadPlan plan_;
  int64_t context_ = 0;  // tokens in the prompt beside the prompt itself
};

}  // namespace

absl::StatusOr<Plan> MakePlan(const PriceBook& book, const std::vector<Workload>& workloads) {
  Plan plan;
  for (const Workload& workload : workloads) {
    FLOE_RETURN_IF_ERROR(Check(workload));
    FLOE_ASSIGN_OR_RETURN(WorkloadPlan one, Walk(book, workload).Run());
    FLOE_ASSIGN_OR_RETURN(plan.per_day, Add(plan.per_day, one.per_day));
    plan.workloads.push_back(std::move(one));
  }
  FLOE_ASSIGN_OR_RETURN(plan.per_month, Multiply(plan.per_day, kDaysPerMonth));
  return plan;
}

}  // namespace floe::billing
