// The ledger's rules, held by the database itself.
#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;

TEST_F(StoreTest, ATransactionThatDoesNotSumToZeroIsRefusedByTheDatabase) {
  const absl::Status refused = Execute(
      "INSERT INTO billing.ledger_entry (transaction_id, line, kind, source, account, amount)"
      " VALUES (900, 1, 'usage', 'x', 'receivable/nlp', 5), (900, 2, 'usage', 'x', 'revenue/m', "
      "-4)");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_TRUE(Execute("INSERT INTO billing.ledger_entry (transaction_id, line, kind, source,"
                      " account, amount) VALUES (900, 1, 'usage', 'x', 'receivable/nlp', 5),"
                      " (900, 2, 'usage', 'x', 'revenue/m', -5)")
                  .ok());
  // Nor can one side be added later to a transaction that stands.
  EXPECT_FALSE(Execute("INSERT INTO billing.ledger_entry (transaction_id, line, kind, source,"
                       " account, amount) VALUES (900, 3, 'usage', 'x', 'receivable/nlp', 1)")
                   .ok());
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.ledger_entry"), "2");
}

TEST_F(StoreTest, NothingPostedCanBeChanged) {
  ASSERT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
  for (const char* statement :
       {"UPDATE billing.ledger_entry SET amount = amount * 2", "DELETE FROM billing.ledger_entry",
        "TRUNCATE billing.ledger_entry", "UPDATE billing.usage_event SET charge = 0",
        "DELETE FROM billing.usage_event", "TRUNCATE billing.usage_event",
        "UPDATE billing.price_book SET yaml = ''", "DELETE FROM billing.price_book"}) {
    EXPECT_FALSE(Execute(statement).ok()) << statement;
  }
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
}

TEST_F(StoreTest, ChargesAndCreditsAreTwoTransactionsOfTwoEntries) {
  UsageEvent event = Event("u1");
  event.usage.tier = Tier::kPriority;
  event.served_tier = Tier::kDefault;
  ASSERT_THAT(Ingest({event}), ElementsAre(IngestState::kAccepted));
  const auto explained = reports_.Explain("nlp", "u1");
  ASSERT_TRUE(explained.ok()) << explained.status();
  std::vector<std::string> entries;
  for (const LedgerEntry& entry : explained->entries) {
    entries.push_back(absl::StrCat(entry.kind, " ", entry.account, " ", entry.amount.ToString()));
  }
  EXPECT_THAT(entries,
              ElementsAre("usage receivable/nlp 56000000", "usage revenue/hamlet -56000000",
                          "tier_credit tier_credits/hamlet 28000000",
                          "tier_credit receivable/nlp -28000000"));
  EXPECT_EQ(Receivable(), Money::Picos(28'000'000));
}

TEST_F(StoreTest, AFreeRequestPostsNothingAndIsStillKnown) {
  UsageEvent event = Event("u1");
  event.usage.quantities = {};
  event.arrived_tokens = 0;
  EXPECT_THAT(Ingest({event}), ElementsAre(IngestState::kAccepted));
  EXPECT_THAT(Ingest({event}), ElementsAre(IngestState::kDuplicate));
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.ledger_entry"), "0");
}

TEST_F(StoreTest, MigratingAgainChangesNothing) {
  ASSERT_THAT(Ingest({Event("u1")}), ElementsAre(IngestState::kAccepted));
  EXPECT_TRUE(postgres::Migrate(*pool_, "billing", Migrations()).ok());
  EXPECT_EQ(Receivable(), Money::Picos(kEventPicos));
}

}  // namespace
}  // namespace floe::billing
