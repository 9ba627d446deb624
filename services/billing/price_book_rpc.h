// floe.billing.v1.PriceBookService and QuoteService.
#pragma once

#include "base/clock.h"
#include "billing/ingest.h"
#include "billing/price_books.h"
#include "floe/billing/v1/price_book.grpc.pb.h"
#include "floe/billing/v1/quote.grpc.pb.h"
#include "services/runtime/call.h"

namespace floe::services::billing {

// Thread-safe. Borrows its parts.
class PriceBookRpc final : public floe::billing::v1::PriceBookService::Service {
 public:
  struct Parts {
    runtime::Calls& calls;
    const Clock& clock;
    floe::billing::PriceBooks& books;
    floe::billing::PriceBookStore& store;
    floe::billing::IngestUsage& ingest;
  };
  explicit PriceBookRpc(const Parts& parts) : parts_(parts) {}

  grpc::Status CreatePriceBook(grpc::ServerContext* context,
                               const floe::billing::v1::CreatePriceBookRequest* request,
                               floe::billing::v1::PriceBook* answer) override;
  grpc::Status GetPriceBook(grpc::ServerContext* context,
                            const floe::billing::v1::GetPriceBookRequest* request,
                            floe::billing::v1::PriceBook* answer) override;
  grpc::Status ListPriceBooks(grpc::ServerContext* context,
                              const floe::billing::v1::ListPriceBooksRequest* request,
                              floe::billing::v1::ListPriceBooksResponse* answer) override;
  grpc::Status GetEffectivePriceBook(grpc::ServerContext* context,
                                     const floe::billing::v1::GetEffectivePriceBookRequest* request,
                                     floe::billing::v1::PriceBook* answer) override;

 private:
  const Parts parts_;
};

// Thread-safe. Borrows its parts.
class QuoteRpc final : public floe::billing::v1::QuoteService::Service {
 public:
  QuoteRpc(runtime::Calls& calls, const Clock& clock, floe::billing::PriceBooks& books)
      : calls_(calls), clock_(clock), books_(books) {}

  grpc::Status Quote(grpc::ServerContext* context, const floe::billing::v1::QuoteRequest* request,
                     floe::billing::v1::QuoteResponse* answer) override;

 private:
  runtime::Calls& calls_;
  const Clock& clock_;
  floe::billing::PriceBooks& books_;
};

}  // namespace floe::services::billing
