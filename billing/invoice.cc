#include "billing/invoice.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "base/status_macros.h"
#include "billing/money/allocation.h"
#include "billing/report.h"

namespace floe::billing {
namespace {

constexpr char kStyle[] =
    "body{font:14px/1.5 system-ui,sans-serif;max-width:60em;margin:3em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:left}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}"
    "tfoot td{font-weight:bold;border-top:2px solid #333}.draft{color:#a60}";

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string What(const InvoiceLine& line) {
  std::string what = line.model.empty() ? line.operation : line.model;
  if (!line.correction_of.empty()) {
    absl::StrAppend(&what, " (late, for ", line.correction_of, ")");
  }
  return what;
}

std::string Cell(const std::string& text, bool number = false) {
  return absl::StrCat(number ? "<td class=\"n\">" : "<td>", Escape(text), "</td>");
}

std::string HtmlRow(const InvoiceLine& line) {
  const bool credit = line.kind == "tier_credit";
  return absl::StrCat("<tr>", Cell(What(line)), Cell(line.tier), Cell(line.kind),
                      Cell(credit ? "" : absl::StrCat(line.quantity), true),
                      Cell(credit ? "" : line.unit_price.ToDollars(), true),
                      Cell(line.exact_amount.ToDollars(), true),
                      Cell(line.amount.ToDollars(), true), "</tr>\n");
}

}  // namespace

std::string Invoice::Name() const {
  return absl::StrCat("teams/", team, "/invoices/", WriteMonth(month));
}

absl::StatusOr<Invoice> MakeInvoice(std::string team, absl::CivilMonth month,
                                    std::vector<InvoiceLine> lines) {
  Invoice invoice{.team = std::move(team), .month = month, .lines = std::move(lines)};
  std::vector<Money> amounts;
  for (const InvoiceLine& line : invoice.lines) amounts.push_back(line.exact_amount);
  FLOE_ASSIGN_OR_RETURN(const Allocation allocation, RoundByLargestRemainder(amounts));
  for (size_t i = 0; i < invoice.lines.size(); ++i) {
    invoice.lines[i].amount = allocation.rounded[i];
  }
  invoice.exact_total = allocation.exact_total;
  invoice.total = allocation.total;
  FLOE_ASSIGN_OR_RETURN(invoice.rounding, Subtract(invoice.total, invoice.exact_total));
  return invoice;
}

std::string InvoiceHtml(const Invoice& invoice) {
  std::string html = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
      Escape(invoice.Name()), "</title><style>", kStyle, "</style></head><body>\n<h1>Invoice ",
      WriteMonth(invoice.month), "</h1>\n<p>Team ", Escape(invoice.team), ", ");
  if (invoice.issue_time) {
    absl::StrAppend(
        &html, "issued ",
        absl::FormatTime("%Y-%m-%d %H:%M UTC", *invoice.issue_time, absl::UTCTimeZone()));
  } else {
    absl::StrAppend(&html, "<span class=\"draft\">draft</span>");
  }
  absl::StrAppend(&html,
                  "</p>\n<table><thead><tr><th>What</th><th>Tier</th><th>Kind</th>"
                  "<th class=\"n\">Quantity</th><th class=\"n\">Price of one</th>"
                  "<th class=\"n\">Exact</th><th class=\"n\">USD</th></tr></thead><tbody>\n");
  for (const InvoiceLine& line : invoice.lines) html += HtmlRow(line);
  absl::StrAppend(&html, "</tbody><tfoot><tr><td colspan=\"5\">Total</td>",
                  Cell(invoice.exact_total.ToDollars(), true),
                  Cell(invoice.total.ToDollars(), true),
                  "</tr></tfoot></table>\n<p>Rounded once, to the cent: a difference of $",
                  invoice.rounding.ToDollars(), ".</p>\n</body></html>\n");
  return html;
}

std::string InvoiceCsv(const Invoice& invoice) {
  std::string csv = CsvLine({"model", "operation", "tier", "kind", "quantity", "unit_price",
                             "exact_amount", "amount", "correction_of"});
  for (const InvoiceLine& line : invoice.lines) {
    csv += CsvLine({line.model, line.operation, line.tier, line.kind, absl::StrCat(line.quantity),
                    line.unit_price.ToDollars(), line.exact_amount.ToDollars(),
                    line.amount.ToDollars(), line.correction_of});
  }
  csv += CsvLine({"total", "", "", "", "", "", invoice.exact_total.ToDollars(),
                  invoice.total.ToDollars(), ""});
  return csv;
}

}  // namespace floe::billing
