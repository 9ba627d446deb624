#include "gateway/stages/reserve.h"

#include <utility>

#include "gateway/settlement.h"

namespace floe::gateway {
namespace {

// An answer from the cache has its price already.
Picos NeededFor(const Request& request) {
  if (request.prices == nullptr || request.cache != CacheUse::kHit) return request.worst_case.picos;
  const absl::StatusOr<Cost> cost =
      request.prices->Charge(request.priced, ChargedQuantities(request));
  return cost.ok() ? cost->picos : request.worst_case.picos;
}

// Gives a reservation back unless it is kept: by whatever way Enter ends.
class Unkept {
 public:
  Unkept(Budgets& budgets, Request& request) : budgets_(budgets), request_(request) {}
  Unkept(const Unkept&) = delete;
  Unkept& operator=(const Unkept&) = delete;
  ~Unkept() {
    if (kept_ || !request_.reservation) return;
    budgets_.Settle(*request_.reservation, 0);
    request_.reservation.reset();
  }
  void Keep() { kept_ = true; }

 private:
  Budgets& budgets_;
  Request& request_;
  bool kept_ = false;
};

}  // namespace

Awaitable<absl::Status> ReserveStage::Enter(Request& request) {
  const Spender spender{.tenant = request.scope.caller.tenant,
                        .team = request.scope.caller.team,
                        .key_id = request.scope.caller.key_id,
                        .workflow_id = request.ask.workflow.id,
                        .workflow_max_cost = request.rules->max_workflow_cost};
  absl::StatusOr<Reservation> reservation =
      co_await parts_.budgets.Reserve(spender, NeededFor(request));
  if (!reservation.ok()) co_return reservation.status();
  request.reservation = *std::move(reservation);
  Unkept unkept(parts_.budgets, request);
  if (!spender.workflow_id.empty() && request.rules->max_workflow_steps > 0) {
    const absl::Status counted = co_await parts_.steps.Count(spender.team, spender.workflow_id,
                                                             request.rules->max_workflow_steps);
    if (!counted.ok()) co_return counted;
  }
  unkept.Keep();
  if (request.prices != nullptr && request.cache != CacheUse::kHit) {
    parts_.usage.Begin(UnendedRecordOf(request, parts_.clock.Now()));
  }
  co_return absl::OkStatus();
}

void ReserveStage::Leave(Request& request) noexcept {
  if (request.settled || !request.reservation) return;
  if (request.meter.attempts > 0) {
    SettleUnwaited(request, {parts_.budgets, parts_.usage, parts_.clock});
    return;
  }
  request.settled = true;
  parts_.usage.Drop(request.usage_id);
  parts_.budgets.Settle(*request.reservation, 0);
}

}  // namespace floe::gateway
