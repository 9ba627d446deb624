#include "services/gateway/clients/price_lists.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "billing/pricing/charge.h"
#include "services/runtime/client.h"
#include "services/runtime/proto_time.h"
#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;

constexpr absl::Duration kCallTime = absl::Seconds(5);
constexpr absl::Duration kFirstRefresh = absl::Milliseconds(200);  // until there is a book
constexpr int kPageSize = 50;
// Books that came into force this long ago still serve requests that arrived before their
// successors did.
constexpr absl::Duration kLongestRequest = absl::Hours(1);

absl::StatusOr<billing::Usage> UsageOf(const PricedCall& call) {
  billing::Usage usage;
  FLOE_ASSIGN_OR_RETURN(usage.operation, billing::ParseOperation(call.operation));
  FLOE_ASSIGN_OR_RETURN(usage.tier, billing::ParseTier(TierName(call.tier)));
  usage.model = call.model;
  return usage;
}

Cost CostOf(const billing::Charge& charge) {
  Cost cost;
  cost.picos = charge.total.picos();
  cost.dollars = charge.total.ToDollars();
  for (const billing::ChargeLine& line : charge.lines) {
    cost.lines.push_back({std::string(billing::Name(line.kind)), line.quantity,
                          line.unit_price.ToDollars(), line.amount.ToDollars()});
  }
  return cost;
}

// The cost with the search that goes with the call: what the search's own event will be charged.
absl::StatusOr<Cost> WithSearch(const billing::PriceBook& book, const PricedCall& call, Cost cost) {
  billing::Usage search{.operation = billing::Operation::kRetrieval};
  FLOE_ASSIGN_OR_RETURN(search.tier, billing::ParseTier(TierName(call.tier)));
  search.quantities.calls = 1;
  FLOE_ASSIGN_OR_RETURN(const billing::Charge charge, billing::PriceUsage(book, search));
  FLOE_ASSIGN_OR_RETURN(const billing::Money total,
                        billing::Add(billing::Money::Picos(cost.picos), charge.total));
  for (CostLine& line : CostOf(charge).lines) {
    if (line.kind == billing::Name(billing::Kind::kCall))
      line.kind = billing::Name(search.operation);
    cost.lines.push_back(std::move(line));
  }
  cost.picos = total.picos();
  cost.dollars = total.ToDollars();
  return cost;
}

}  // namespace

absl::StatusOr<Cost> BookPriceList::WorstCase(const PricedCall& call, int64_t input_tokens,
                                              int64_t max_output_tokens) const {
  FLOE_ASSIGN_OR_RETURN(const billing::Usage usage, UsageOf(call));
  FLOE_ASSIGN_OR_RETURN(const billing::Charge charge,
                        billing::WorstCase(book_, usage.operation, usage.model, usage.tier,
                                           input_tokens, max_output_tokens));
  if (call.retrieves) return WithSearch(book_, call, CostOf(charge));
  return CostOf(charge);
}

absl::StatusOr<Cost> BookPriceList::Charge(const PricedCall& call,
                                           const UsageQuantities& quantities) const {
  FLOE_ASSIGN_OR_RETURN(billing::Usage usage, UsageOf(call));
  usage.quantities = {.input_tokens = quantities.input_tokens,
                      .cached_input_tokens = quantities.cached_input_tokens,
                      .output_tokens = quantities.output_tokens,
                      .cached_output_tokens = quantities.cached_output_tokens,
                      .calls = quantities.calls};
  FLOE_ASSIGN_OR_RETURN(const billing::Charge charge, billing::PriceUsage(book_, usage));
  if (call.retrieves && quantities.calls > 0) return WithSearch(book_, call, CostOf(charge));
  return CostOf(charge);
}

absl::StatusOr<Picos> BookPriceList::Amount(std::string_view dollars) const {
  FLOE_ASSIGN_OR_RETURN(const billing::Money money, billing::Money::ParseDollars(dollars));
  return money.picos();
}

PriceLists::PriceLists(const std::shared_ptr<grpc::Channel>& billing, const runtime::Logger& logger,
                       absl::Duration refresh_every)
    : stub_(pb::PriceBookService::NewStub(billing)),
      logger_(logger),
      refresh_every_(refresh_every),
      thread_([this] { Loop(); }) {}

PriceLists::~PriceLists() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PriceLists::Loop() {
  bool was_away = false;
  while (true) {
    const absl::Status status = Refresh();
    if (status.ok() == was_away) {
      was_away = !status.ok();
      if (was_away) {
        logger_.Warning("price books cannot be refreshed; the last ones hold",
                        {{"error", status.ToString()}});
      } else {
        logger_.Info("price books are refreshed again");
      }
    }
    std::unique_lock lock(mutex_);
    const absl::Duration wait =
        books_.empty() ? std::min(kFirstRefresh, refresh_every_) : refresh_every_;
    changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [this] { return ending_; });
    if (ending_) return;
  }
}

absl::StatusOr<std::shared_ptr<const PriceList>> PriceLists::Resolve(absl::Time time) const {
  const std::lock_guard lock(mutex_);
  for (const Dated& book : books_) {
    if (book.effective <= time) return book.list;
  }
  return WithReason(
      absl::UnavailableError(
          "no price book is in force, and what has no price is not served; publish one (floe bill "
          "books add), or wait until floe-billing answers"),
      "PRICES_UNAVAILABLE");
}

std::shared_ptr<const PriceList> PriceLists::Known(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  for (const Dated& book : books_) {
    if (book.list->name() == name) return book.list;
  }
  return nullptr;
}

absl::Status PriceLists::Refresh() {
  const std::lock_guard one_at_a_time(refreshing_);
  FLOE_ASSIGN_OR_RETURN(const auto newest, NewestBooks());
  std::vector<Dated> books;
  for (const pb::PriceBook& book : newest) {
    std::shared_ptr<const PriceList> list = Known(book.name());
    if (list == nullptr) {
      FLOE_ASSIGN_OR_RETURN(list, Fetch(book.name()));
    }
    books.push_back({runtime::FromProto(book.effective_time()), std::move(list)});
  }
  const std::lock_guard lock(mutex_);
  books_ = std::move(books);
  answered_ = true;
  return absl::OkStatus();
}

absl::Status PriceLists::Ready() const {
  const std::lock_guard lock(mutex_);
  if (answered_) return absl::OkStatus();
  return absl::UnavailableError("floe-billing has not told its price books yet");
}

// Down to the book that was in force when the longest request that still runs arrived.
absl::StatusOr<std::vector<pb::PriceBook>> PriceLists::NewestBooks() {
  const absl::Time oldest_needed = absl::Now() - kLongestRequest;
  std::vector<pb::PriceBook> books;
  pb::ListPriceBooksRequest request;
  request.set_page_size(kPageSize);
  do {
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own("price-books", kCallTime));
    pb::ListPriceBooksResponse page;
    FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus(stub_->ListPriceBooks(&context, request, &page)));
    for (pb::PriceBook& book : *page.mutable_price_books()) {
      books.push_back(std::move(book));
      if (runtime::FromProto(books.back().effective_time()) <= oldest_needed) return books;
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return books;
}

absl::StatusOr<std::shared_ptr<const PriceList>> PriceLists::Fetch(const std::string& name) {
  pb::GetPriceBookRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  runtime::PrepareCall(context, runtime::OutgoingCall::Own("price-books", kCallTime));
  pb::PriceBook answer;
  FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus(stub_->GetPriceBook(&context, request, &answer)));
  FLOE_ASSIGN_OR_RETURN(billing::PriceBook book, billing::PriceBook::Parse(answer.yaml()));
  return std::make_shared<const BookPriceList>(name, std::move(book));
}

}  // namespace floe::gateway
