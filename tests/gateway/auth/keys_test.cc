#include "gateway/auth/keys.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "gateway/auth/secret.h"
#include "tests/gateway/auth/fake_key_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;

class KeysTest : public testing::Test {
 protected:
  test::FakeClock clock_;
  test::FakeIds ids_;
  FakeKeyStore store_;
  Identifier identifier_{store_, clock_};
  Keys keys_{{store_, identifier_, clock_, ids_}};
  const Identity nlp_admin_{"nlp", Role::kAdmin, "k0"};
  const Identity fleet_admin_{"default", Role::kAdmin, "k0"};
};

TEST_F(KeysTest, ANewKeyWorksAndOnlyItsHashIsKept) {
  const auto created = keys_.Create(nlp_admin_, {"nlp", "laptop", Role::kConsumer, "r1"});
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->key.prefix, created->secret.substr(0, kPrefixLength));
  const auto who = identifier_.Identify(created->secret);
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->role, Role::kConsumer);
  EXPECT_EQ(who->key_id, created->key.id);
}

TEST_F(KeysTest, RepeatingARequestGivesTheFirstKeyWithoutItsSecret) {
  const auto first = keys_.Create(nlp_admin_, {"nlp", "laptop", Role::kConsumer, "r1"});
  const auto again = keys_.Create(nlp_admin_, {"nlp", "laptop", Role::kConsumer, "r1"});
  ASSERT_TRUE(first.ok() && again.ok()) << again.status();
  EXPECT_EQ(again->key.id, first->key.id);
  EXPECT_EQ(again->secret, "");
  const auto other = keys_.Create(nlp_admin_, {"nlp", "laptop", Role::kAdmin, "r1"});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(other.status())->reason, "REQUEST_ID_REUSED");
}

TEST_F(KeysTest, OnlyAdminsAndOnlyOfTheirOwnTeamExceptTheFleetsAdmins) {
  const Identity developer{"nlp", Role::kDeveloper, "k1"};
  EXPECT_EQ(ReasonOf(keys_.Create(developer, {"nlp", "", Role::kViewer, ""}).status())->reason,
            "ROLE_TOO_LOW");
  EXPECT_EQ(ReasonOf(keys_.Create(nlp_admin_, {"web", "", Role::kViewer, ""}).status())->reason,
            "OTHER_TEAM");
  EXPECT_EQ(ReasonOf(keys_.List(nlp_admin_, "default", 0, "").status())->reason, "OTHER_TEAM");
  const auto web = keys_.Create(fleet_admin_, {"web", "", Role::kViewer, ""});
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(ReasonOf(keys_.Revoke(nlp_admin_, "web", web->key.id).status())->reason, "OTHER_TEAM");
  EXPECT_EQ(keys_.Revoke(nlp_admin_, "nlp", web->key.id).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(KeysTest, BadInputIsNamed) {
  const auto message = [&](Keys::Wanted wanted) {
    return std::string(keys_.Create(fleet_admin_, wanted).status().message());
  };
  EXPECT_THAT(message({"Not A Team", "", Role::kViewer, ""}), HasSubstr("Not A Team"));
  EXPECT_THAT(message({"nlp", std::string(201, 'x'), Role::kViewer, ""}), HasSubstr("201 bytes"));
  EXPECT_THAT(message({"nlp", "a\nb", Role::kViewer, ""}), HasSubstr("control character"));
  EXPECT_THAT(message({"nlp", "", Role::kViewer, std::string(129, 'r')}), HasSubstr("request_id"));
  EXPECT_EQ(keys_.List(fleet_admin_, "nlp", -1, "").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(keys_.List(fleet_admin_, "nlp", 0, "' OR 1=1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(KeysTest, PagesAreNewestFirstAndComplete) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(keys_.Create(nlp_admin_, {"nlp", std::to_string(i), Role::kViewer, ""}).ok());
  }
  std::string names, token;
  int pages = 0;
  do {
    const auto page = keys_.List(nlp_admin_, "nlp", 2, token);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Key& key : page->keys) names += key.display_name;
    token = page->next_page_token;
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(names, "43210");
  EXPECT_EQ(pages, 3);
}

TEST_F(KeysTest, ARevokedKeyStopsAtOnceAndStaysRevokedAsItWas) {
  const auto created = keys_.Create(nlp_admin_, {"nlp", "", Role::kViewer, ""});
  ASSERT_TRUE(identifier_.Identify(created->secret).ok());
  const auto revoked = keys_.Revoke(nlp_admin_, "nlp", created->key.id);
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_EQ(ReasonOf(identifier_.Identify(created->secret).status())->reason, "KEY_REVOKED");
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(keys_.Revoke(nlp_admin_, "nlp", created->key.id)->revoke_time, revoked->revoke_time);
}

TEST_F(KeysTest, TheBootstrapKeyIsStoredOnceAndNeverRevived) {
  const std::string secret = NewSecret();
  ASSERT_TRUE(keys_.EnsureBootstrap(secret).ok());
  ASSERT_TRUE(keys_.EnsureBootstrap(secret).ok());
  const auto who = identifier_.Identify(secret);
  ASSERT_TRUE(who.ok());
  EXPECT_TRUE(IsFleetAdmin(*who));
  EXPECT_EQ(keys_.List(fleet_admin_, "default", 0, "")->keys.size(), 1u);
  ASSERT_TRUE(keys_.Revoke(fleet_admin_, "default", who->key_id).ok());
  EXPECT_EQ(keys_.EnsureBootstrap(secret).code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status malformed = keys_.EnsureBootstrap("admin");
  EXPECT_EQ(malformed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(malformed.message()), HasSubstr("bootstrap-key"));
}

}  // namespace
}  // namespace floe::gateway
