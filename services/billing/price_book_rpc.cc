#include "services/billing/price_book_rpc.h"

#include "base/status_macros.h"
#include "services/billing/access.h"
#include "services/billing/convert.h"

namespace floe::services::billing {
namespace {

v1::PriceBook BookToProto(const domain::BookRecord& book) {
  v1::PriceBook out;
  out.set_name(PriceBookName(book.id));
  *out.mutable_effective_time() = ToProto(book.effective_time);
  out.set_yaml(book.yaml);
  out.set_digest(book.digest);
  out.set_currency(book.currency);
  *out.mutable_create_time() = ToProto(book.create_time);
  out.set_creator(book.creator);
  return out;
}

domain::PriceBooks::NewBook NewBookOf(const v1::CreatePriceBookRequest& request,
                                      const std::string& creator) {
  domain::PriceBooks::NewBook book{.id = request.price_book_id(),
                                   .yaml = request.price_book().yaml(),
                                   .creator = creator,
                                   .request_id = request.request_id(),
                                   .validate_only = request.validate_only()};
  if (request.price_book().has_effective_time()) {
    book.effective_time = FromProto(request.price_book().effective_time());
  }
  return book;
}

// A book as written tells margins, and the names and terms of other teams' models.
absl::Status CheckReader(const runtime::CallIdentity& identity) {
  return RequireOperator(identity,
                         "read a price book as it was written; `floe bill quote` tells what a "
                         "request costs, `floe bill plan` what a month does");
}

}  // namespace

grpc::Status PriceBookRpc::CreatePriceBook(grpc::ServerContext* context,
                                           const v1::CreatePriceBookRequest* request,
                                           v1::PriceBook* answer) {
  return parts_.calls.Run(*context, "billing.CreatePriceBook", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireOperator(call.identity(), "publish price books"));
    FLOE_ASSIGN_OR_RETURN(const auto book,
                          parts_.books.Create(NewBookOf(*request, call.identity().key_id)));
    *answer = BookToProto(book);
    if (request->validate_only()) return absl::OkStatus();
    // The book stands; events that still cannot be charged are tried again with the next one.
    const auto charged = parts_.ingest.ChargeParked();
    if (!charged.ok()) {
      call.logger().Warning("parked events were not charged",
                            {{"error", charged.status().ToString()}});
    }
    return absl::OkStatus();
  });
}

grpc::Status PriceBookRpc::GetPriceBook(grpc::ServerContext* context,
                                        const v1::GetPriceBookRequest* request,
                                        v1::PriceBook* answer) {
  return parts_.calls.Run(*context, "billing.GetPriceBook", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(CheckReader(call.identity()));
    FLOE_ASSIGN_OR_RETURN(const std::string id, PriceBookId(request->name()));
    FLOE_ASSIGN_OR_RETURN(const auto book, parts_.store.Get(id));
    *answer = BookToProto(book);
    return absl::OkStatus();
  });
}

grpc::Status PriceBookRpc::ListPriceBooks(grpc::ServerContext* context,
                                          const v1::ListPriceBooksRequest* request,
                                          v1::ListPriceBooksResponse* answer) {
  return parts_.calls.Run(*context, "billing.ListPriceBooks", [&](auto&) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const Page page, ReadPage(request->page_size(), request->page_token()));
    FLOE_ASSIGN_OR_RETURN(auto books, parts_.store.List(page.limit + 1, page.offset));
    if (static_cast<int>(books.size()) > page.limit) {
      books.pop_back();
      answer->set_next_page_token(NextToken(page));
    }
    for (domain::BookRecord& book : books) {
      book.yaml.clear();
      *answer->add_price_books() = BookToProto(book);
    }
    return absl::OkStatus();
  });
}

grpc::Status PriceBookRpc::GetEffectivePriceBook(grpc::ServerContext* context,
                                                 const v1::GetEffectivePriceBookRequest* request,
                                                 v1::PriceBook* answer) {
  return parts_.calls.Run(
      *context, "billing.GetEffectivePriceBook", [&](auto& call) -> absl::Status {
        FLOE_RETURN_IF_ERROR(CheckReader(call.identity()));
        const absl::Time time =
            request->has_time() ? FromProto(request->time()) : parts_.clock.Now();
        FLOE_ASSIGN_OR_RETURN(const auto book, parts_.store.Effective(time));
        *answer = BookToProto(book);
        return absl::OkStatus();
      });
}

grpc::Status QuoteRpc::Quote(grpc::ServerContext* context, const v1::QuoteRequest* request,
                             v1::QuoteResponse* answer) {
  return calls_.Run(*context, "billing.Quote", [&](auto&) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const std::string id, PriceBookId(request->price_book()));
    FLOE_ASSIGN_OR_RETURN(const auto book, books_.Resolve(id, clock_.Now()));
    FLOE_ASSIGN_OR_RETURN(const auto operation, domain::ParseOperation(request->operation()));
    FLOE_ASSIGN_OR_RETURN(const auto tier, domain::ParseTier(request->service_tier()));
    FLOE_ASSIGN_OR_RETURN(const auto charge,
                          WorstCase(*book.book, operation, request->model(), tier,
                                    request->input_tokens(), request->max_output_tokens()));
    *answer->mutable_amount() = ToProto(charge.total);
    for (const auto& line : charge.lines) *answer->add_lines() = ToProto(line);
    answer->set_price_book(PriceBookName(book.id));
    return absl::OkStatus();
  });
}

}  // namespace floe::services::billing
