#include "gateway/auth/postgres/key_repository.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <pqxx/pqxx>

#include "gateway/auth/secret.h"
#include "gateway/postgres/schema.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

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
    return {{id, team, "for “tests”", Role::kDeveloper, SecretPrefix(secret),
             absl::FromUnixMicros(1767225600123456), std::nullopt},
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
  EXPECT_FALSE(store_->FindBySecretHash(std::string(64, '0'))->has_value());
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
