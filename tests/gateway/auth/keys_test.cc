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

TEST_F(KeysTest, AKeyIsLimitedAsItWasMadeAndRepeatingTheRequestGivesItAgain) {
  const Keys::Wanted wanted{.team = "nlp",
                            .request_id = "r1",
                            .expire_time = clock_.Now() + absl::Hours(1),
                            .models = {"hamlet", "ham*"},
                            .tiers = {"flex"}};
  const auto made = keys_.Create(nlp_admin_, wanted);
  ASSERT_TRUE(made.ok()) << made.status();
  const auto who = identifier_.Identify(made->secret);
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->models, wanted.models);
  EXPECT_EQ(who->tiers, wanted.tiers);
  EXPECT_EQ(keys_.Create(nlp_admin_, wanted)->key.id, made->key.id);
  for (const auto& change : std::vector<std::function<void(Keys::Wanted&)>>{
           [](auto& other) { other.expire_time = {}; }, [](auto& other) { other.models = {}; },
           [](auto& other) { other.tiers = {}; }}) {
    Keys::Wanted other = wanted;
    change(other);
    EXPECT_EQ(ReasonOf(keys_.Create(nlp_admin_, other).status())->reason, "REQUEST_ID_REUSED");
  }
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(ReasonOf(identifier_.Identify(made->secret).status())->reason, "KEY_EXPIRED");
}

TEST_F(KeysTest, LimitsThatCannotBeAreNamed) {
  const auto message = [&](Keys::Wanted wanted) {
    wanted.team = "nlp";
    const absl::Status status = keys_.Create(fleet_admin_, wanted).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message({.expire_time = clock_.Now()}), HasSubstr("which is past"));
  EXPECT_THAT(message({.tiers = {"flex", "turbo"}}), HasSubstr("\"turbo\"; there are flex"));
  for (const char* model : {"", "a b", "a,b", "*a", "a**", "a\n"}) {
    EXPECT_THAT(message({.models = {"hamlet", model}}), HasSubstr("names no model")) << model;
  }
  EXPECT_THAT(message({.models = {std::string(257, 'a')}}), HasSubstr("names no model"));
  EXPECT_THAT(message({.models = std::vector<std::string>(65, "a")}), HasSubstr("65 entries"));
  EXPECT_THAT(message({.tenant = "No Tenant"}), HasSubstr("No Tenant"));
}

TEST_F(KeysTest, ATeamStaysInTheTenantOfItsFirstKey) {
  const auto first = keys_.Create(
      fleet_admin_, {.team = "web", .role = Role::kAdmin, .request_id = {}, .tenant = "acme"});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto admin = identifier_.Identify(first->secret);
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_EQ(admin->tenant, "acme");
  EXPECT_EQ(keys_.Create(*admin, {.team = "web"})->key.tenant, "acme");
  EXPECT_EQ(keys_.Create(*admin, {.team = "web", .tenant = "acme"})->key.tenant, "acme");
  for (const Identity& caller : {*admin, fleet_admin_}) {
    const absl::Status other = keys_.Create(caller, {.team = "web", .tenant = "default"}).status();
    EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(other)->reason, "TEAM_OF_OTHER_TENANT");
  }
  EXPECT_EQ(keys_.Create(fleet_admin_, {.team = "ops"})->key.tenant, "default");
  EXPECT_EQ(ReasonOf(keys_.Create(*admin, {.team = "new", .tenant = "acme"}).status())->reason,
            "OTHER_TEAM")
      << "a team's admin founds no teams";
}

TEST_F(KeysTest, OneKeyIsForItsTeamsAdmins) {
  const auto made = keys_.Create(nlp_admin_, {.team = "nlp", .display_name = "laptop"});
  EXPECT_EQ(keys_.Get(nlp_admin_, "nlp", made->key.id)->display_name, "laptop");
  EXPECT_EQ(keys_.Get(nlp_admin_, "nlp", "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(keys_.Get({"web", Role::kAdmin, "k"}, "nlp", made->key.id).status())->reason,
            "OTHER_TEAM");
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
