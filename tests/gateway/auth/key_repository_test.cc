#include "gateway/auth/postgres/key_repository.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "base/postgres/migrations.h"
#include "gateway/auth/secret.h"
#include "gateway/postgres/migrations_sql.h"
#include "gateway/postgres/schema.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class KeyRepositoryTest : public testing::Test {
 protected:
  KeyRepositoryTest() {
    pool_ = *postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
    const absl::Status migrated = MigrateSchema(*pool_);
    if (!migrated.ok()) ADD_FAILURE() << migrated;
    store_ = MakePostgresKeyStore(*pool_);
  }

  static KeyStore::NewKey New(std::string id, std::string team, std::string request_id = "") {
    const std::string secret = NewSecret();
    return {{.id = id,
             .team = team,
             .display_name = "for “tests”",
             .role = Role::kDeveloper,
             .prefix = SecretPrefix(secret),
             .create_time = absl::FromUnixMicros(1767225600123456)},
            *HashSecret(secret),
            request_id};
  }

  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<KeyStore> store_;
};

TEST_F(KeyRepositoryTest, GivesBackWhatWasStored) {
  const KeyStore::NewKey wanted = New("k1", "nlp");
  const auto inserted = store_->Insert(wanted);
  ASSERT_TRUE(inserted.ok()) << inserted.status();
  EXPECT_TRUE(inserted->is_new);
  const auto found = store_->FindBySecretHash(wanted.secret_hash);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_TRUE(found->has_value());
  const Key& key = **found;
  EXPECT_EQ(key.id, "k1");
  EXPECT_EQ(key.team, "nlp");
  EXPECT_EQ(key.display_name, wanted.key.display_name);
  EXPECT_EQ(key.role, Role::kDeveloper);
  EXPECT_EQ(key.prefix, wanted.key.prefix);
  EXPECT_EQ(key.create_time, wanted.key.create_time);
  EXPECT_FALSE(key.revoke_time.has_value());
  EXPECT_FALSE(key.expire_time.has_value());
  EXPECT_THAT(key.models, IsEmpty());
  EXPECT_THAT(key.tiers, IsEmpty());
  EXPECT_FALSE(store_->FindBySecretHash(std::string(64, '0'))->has_value());
}

TEST_F(KeyRepositoryTest, GivesBackExpiryAndLimitsWhicheverWayAKeyIsFound) {
  KeyStore::NewKey wanted = New("k1", "nlp");
  wanted.key.expire_time = absl::FromUnixMicros(1798761600654321);
  wanted.key.models = {"hamlet", "team's \"{}\\*"};
  wanted.key.tiers = {"flex", "default"};
  std::vector<Key> found = {store_->Insert(wanted)->key};
  found.push_back(**store_->FindBySecretHash(wanted.secret_hash));
  found.push_back(**store_->Find("nlp", "k1"));
  found.push_back(store_->List("nlp", "", 10)->at(0));
  found.push_back(**store_->Revoke("nlp", "k1", absl::FromUnixMicros(1767225700000001)));
  for (const Key& key : found) {
    EXPECT_EQ(key.expire_time, wanted.key.expire_time);
    EXPECT_EQ(key.models, wanted.key.models);
    EXPECT_EQ(key.tiers, wanted.key.tiers);
    EXPECT_EQ(key.tenant, "default");
  }
  EXPECT_FALSE(store_->Find("web", "k1")->has_value()) << "keys are a team's own";
}

TEST_F(KeyRepositoryTest, AFirstKeySaysTheTenantAndLaterOnesStayInIt) {
  KeyStore::NewKey first = New("k1", "web");
  first.key.tenant = "acme";
  EXPECT_EQ(store_->Insert(first)->key.tenant, "acme");
  EXPECT_EQ(store_->Insert(New("k2", "web"))->key.tenant, "acme") << "without saying so";
  KeyStore::NewKey other = New("k3", "web");
  other.key.tenant = "default";
  const absl::Status refused = store_->Insert(other).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("belongs to tenant acme"));
  EXPECT_FALSE(store_->Find("web", "k3")->has_value());
}

TEST_F(KeyRepositoryTest, OfTwoFirstKeysAtOnceOneTenantWins) {
  std::vector<absl::StatusOr<KeyStore::Inserted>> made(8, absl::InternalError(""));
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < made.size(); ++i) {
    threads.emplace_back([&, i] {
      KeyStore::NewKey key = New(absl::StrCat("k", i), "web");
      key.key.tenant = i % 2 == 0 ? "acme" : "other";
      made[i] = store_->Insert(key);
    });
  }
  threads.clear();
  const std::string tenant = store_->Insert(New("k9", "web"))->key.tenant;
  for (size_t i = 0; i < made.size(); ++i) {
    EXPECT_EQ(made[i].ok(), tenant == (i % 2 == 0 ? "acme" : "other")) << made[i].status();
  }
}

TEST_F(KeyRepositoryTest, KeysOfBeforeBelongToTheDefaultTenantAndAreNotLimited) {
  auto pool = *postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  ASSERT_TRUE(postgres::Migrate(*pool, "gateway", Migrations().first(2)).ok());
  const KeyStore::NewKey old = New("k1", "nlp");
  const auto inserted = pool->Run([&](pqxx::transaction_base& sql) {
    sql.exec_params0(
        "INSERT INTO gateway.keys (key_id, team, display_name, role, prefix, secret_sha256,"
        " create_time) VALUES ('k1', 'nlp', '', 'admin', 'floe-abc', $1, now())",
        old.secret_hash);
    return absl::OkStatus();
  });
  ASSERT_TRUE(inserted.ok()) << inserted;
  ASSERT_TRUE(MigrateSchema(*pool).ok());
  const auto store = MakePostgresKeyStore(*pool);
  const auto found = store->FindBySecretHash(old.secret_hash);
  ASSERT_TRUE(found.ok() && found->has_value()) << found.status();
  EXPECT_EQ((*found)->tenant, "default");
  EXPECT_FALSE((*found)->expire_time.has_value());
  EXPECT_THAT((*found)->models, IsEmpty());
}

TEST_F(KeyRepositoryTest, AConcurrentlyRepeatedRequestMakesOneKey) {
  std::atomic<int> made{0};
  std::vector<std::string> ids(8);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < ids.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto inserted = store_->Insert(New(absl::StrCat("k", i), "nlp", "the-request"));
      ASSERT_TRUE(inserted.ok()) << inserted.status();
      made += inserted->is_new;
      ids[i] = inserted->key.id;
    });
  }
  threads.clear();
  EXPECT_EQ(made, 1);
  EXPECT_THAT(ids, testing::Each(ids[0]));
}

TEST_F(KeyRepositoryTest, RequestIdsAreATeamsOwnAndSecretsAreUnique) {
  ASSERT_TRUE(store_->Insert(New("k1", "nlp", "r"))->is_new);
  EXPECT_TRUE(store_->Insert(New("k2", "web", "r"))->is_new);
  EXPECT_TRUE(store_->Insert(New("k3", "nlp"))->is_new);
  EXPECT_TRUE(store_->Insert(New("k4", "nlp"))->is_new) << "no request_id is not a request_id";
  KeyStore::NewKey same = New("k5", "nlp");
  ASSERT_TRUE(store_->Insert(same)->is_new);
  same.key.id = "k6";
  const auto again = store_->Insert(same);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->is_new);
  EXPECT_EQ(again->key.id, "k5");
}

TEST_F(KeyRepositoryTest, ListsATeamsKeysNewestFirst) {
  for (const char* id : {"k1", "k3", "k2"}) ASSERT_TRUE(store_->Insert(New(id, "nlp")).ok());
  ASSERT_TRUE(store_->Insert(New("k9", "web")).ok());
  const auto ids = [&](const std::string& before, int limit) {
    std::string all;
    const auto keys = store_->List("nlp", before, limit);
    for (const Key& key : *keys) all += key.id + " ";
    return all;
  };
  EXPECT_EQ(ids("", 10), "k3 k2 k1 ");
  EXPECT_EQ(ids("", 2), "k3 k2 ");
  EXPECT_EQ(ids("k2", 2), "k1 ");
}

TEST_F(KeyRepositoryTest, RevokesWithinTheTeamAndKeepsTheFirstTime) {
  const KeyStore::NewKey wanted = New("k1", "nlp");
  ASSERT_TRUE(store_->Insert(wanted).ok());
  const absl::Time first = absl::FromUnixMicros(1767225700000001);
  EXPECT_FALSE(store_->Revoke("web", "k1", first)->has_value());
  EXPECT_EQ((*store_->Revoke("nlp", "k1", first))->revoke_time, first);
  EXPECT_EQ((*store_->Revoke("nlp", "k1", first + absl::Hours(1)))->revoke_time, first);
  EXPECT_EQ((*store_->FindBySecretHash(wanted.secret_hash))->revoke_time, first);
}

TEST_F(KeyRepositoryTest, NoColumnHoldsTheSecret) {
  const std::string secret = NewSecret();
  KeyStore::NewKey wanted = New("k1", "nlp", "r");
  wanted.key.prefix = SecretPrefix(secret);
  wanted.secret_hash = *HashSecret(secret);
  ASSERT_TRUE(store_->Insert(wanted).ok());
  const auto row =
      pool_->Transaction([](pqxx::transaction_base& sql) -> absl::StatusOr<std::string> {
        return sql.exec1("SELECT keys::text FROM gateway.keys")[0].as<std::string>();
      });
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_THAT(*row, testing::HasSubstr(secret.substr(0, kPrefixLength)));
  EXPECT_THAT(*row, testing::Not(testing::HasSubstr(secret.substr(kPrefixLength))));
}

}  // namespace
}  // namespace floe::gateway
