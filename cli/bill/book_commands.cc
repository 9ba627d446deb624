// floe bill books ls | show | create
#include <iostream>

#include "cli/bill/bill_commands.h"
#include "cli/bill/bill_text.h"
#include "cli/commands/pages.h"
#include "cli/commands/when.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "floe/billing/v1/price_book.grpc.pb.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using Books = pb::PriceBookService;

absl::Status List(Session& session) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Books::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::PriceBook> books,
                        (ListAll<pb::PriceBook>(
                            *door, *stub, &Books::Stub::ListPriceBooks, pb::ListPriceBooksRequest(),
                            [](auto& page) -> auto& { return *page.mutable_price_books(); })));
  if (session.json) {
    auto array = nlohmann::ordered_json::array();
    for (const pb::PriceBook& book : books) array.push_back(MessageJson(book));
    session.PrintJson(array);
    return absl::OkStatus();
  }
  Table table({"BOOK", "IN FORCE FROM", "DIGEST", "MADE", "BY"});
  for (const pb::PriceBook& book : books) {
    table.Add({LastId(book.name()), HumanTime(TimeOf(book.effective_time()), absl::UTCTimeZone()),
               ShortDigest(book.digest()),
               HumanTime(TimeOf(book.create_time()), absl::LocalTimeZone()), book.creator()});
  }
  session.out() << (table.empty() ? "No price book yet; `floe bill books create` publishes one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

struct BookFlags {
  std::string id, file, effective;
  bool check = false;
};

absl::Status Show(Session& session, const BookFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Books::NewStub(door->channel());
  absl::StatusOr<pb::PriceBook> book;
  if (flags.id.empty()) {
    book =
        door->Ask(*stub, &Books::Stub::GetEffectivePriceBook, pb::GetEffectivePriceBookRequest());
  } else {
    pb::GetPriceBookRequest request;
    request.set_name("priceBooks/" + LastId(flags.id));
    book = door->Ask(*stub, &Books::Stub::GetPriceBook, request);
  }
  FLOE_RETURN_IF_ERROR(book.status());
  if (session.json) {
    session.PrintJson(MessageJson(*book));
    return absl::OkStatus();
  }
  session.out() << "# " << book->name() << ", in force from "
                << HumanTime(TimeOf(book->effective_time()), absl::UTCTimeZone()) << " UTC\n"
                << book->yaml();
  return absl::OkStatus();
}

absl::Status Create(Session& session, const BookFlags& flags) {
  pb::CreatePriceBookRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_price_book()->mutable_yaml(),
                        ReadFile(session.folder / flags.file, 1 << 20));
  if (!flags.effective.empty()) {
    FLOE_ASSIGN_OR_RETURN(const absl::Time effective, ParseWhen(flags.effective));
    *request.mutable_price_book()->mutable_effective_time() = TimestampOf(effective);
  }
  request.set_price_book_id(flags.id);
  request.set_validate_only(flags.check);
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  const auto stub = Books::NewStub(door->channel());
  FLOE_ASSIGN_OR_RETURN(const pb::PriceBook book,
                        door->Ask(*stub, &Books::Stub::CreatePriceBook, request));
  if (session.json) {
    session.PrintJson(MessageJson(book));
    return absl::OkStatus();
  }
  session.out() << book.name() << (flags.check ? " would be" : " is") << " in force from "
                << HumanTime(TimeOf(book.effective_time()), absl::UTCTimeZone()) << " UTC\n";
  return absl::OkStatus();
}

}  // namespace

void AddBookCommands(CommandLine& line, CLI::App& bill) {
  CLI::App* books = AddGroup(bill, "books", "Price books: what things cost, from when on");
  CLI::App* command =
      AddCommand(*books, "ls", "List them, the newest first", "  floe bill books ls");
  line.OnRun(command, List);

  auto& show = line.Keep<BookFlags>();
  command = AddCommand(*books, "show",
                       "One as it was written, for the operator; without an id the one in force",
                       "  floe bill books show\n  floe bill books show 2026-11");
  command->add_option("id", show.id, "The book's id");
  line.OnRun(command, [&show](Session& session) { return Show(session, show); });

  auto& create = line.Keep<BookFlags>();
  command = AddCommand(*books, "create", "Publish one; it never changes afterwards",
                       "  floe bill books create 2026-12 prices.yaml --effective 2026-12-01\n"
                       "  floe bill books create 2026-12 prices.yaml --check");
  command->add_option("id", create.id, "Its id")->required();
  command->add_option("file", create.file, "YAML")->required();
  command->add_option("--effective", create.effective, "In force from then on [now]");
  command->add_flag("--check", create.check, "Only say whether it is right");
  line.OnRun(command, [&create](Session& session) { return Create(session, create); });
}

}  // namespace floe::cli
