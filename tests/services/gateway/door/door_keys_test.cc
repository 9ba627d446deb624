// KeyService through the door.
#include "tests/services/gateway/door/door_fixture.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class DoorKeysTest : public DoorTest {
 protected:
  grpc::Status Create(const std::string& secret, const std::string& team, const std::string& role,
                      const std::string& request_id, v1::CreateKeyResponse* answer) {
    v1::CreateKeyRequest request;
    request.set_parent("teams/" + team);
    request.mutable_key()->set_role(role);
    request.mutable_key()->set_display_name("of a test");
    request.set_request_id(request_id);
    return stub_->CreateKey(With(secret).get(), request, answer);
  }

  std::unique_ptr<v1::KeyService::Stub> stub_ = StubOf<v1::KeyService>();
  const std::string admin_ = MakeKey(Role::kAdmin);
};

TEST_F(DoorKeysTest, AKeyIsMadeUsedListedAndRevoked) {
  v1::CreateKeyResponse created;
  const grpc::Status made = Create(admin_, "nlp", "developer", "r1", &created);
  ASSERT_TRUE(made.ok()) << made.error_message();
  EXPECT_THAT(created.key().name(), StartsWith("teams/nlp/keys/"));
  EXPECT_THAT(created.secret(), StartsWith(created.key().prefix()));
  EXPECT_GT(created.key().create_time().seconds(), 0);

  v1::Caller caller;
  ASSERT_TRUE(stub_->GetCaller(With(created.secret()).get(), {}, &caller).ok());
  EXPECT_EQ(caller.team(), "teams/nlp");
  EXPECT_EQ(caller.role(), "developer");
  EXPECT_EQ(caller.key(), created.key().name());

  v1::ListKeysRequest list;
  list.set_parent("teams/nlp");
  v1::ListKeysResponse listed;
  ASSERT_TRUE(stub_->ListKeys(With(admin_).get(), list, &listed).ok());
  ASSERT_EQ(listed.keys_size(), 1);
  EXPECT_EQ(listed.keys(0).name(), created.key().name());

  v1::RevokeKeyRequest revoke;
  revoke.set_name(created.key().name());
  v1::Key revoked;
  ASSERT_TRUE(stub_->RevokeKey(With(admin_).get(), revoke, &revoked).ok());
  EXPECT_TRUE(revoked.has_revoke_time());
  const grpc::Status after = stub_->GetCaller(With(created.secret()).get(), {}, &caller);
  EXPECT_EQ(ReasonFor(after), "KEY_REVOKED") << "at once";
}

TEST_F(DoorKeysTest, RepeatingACreationGivesNoSecretAgain) {
  v1::CreateKeyResponse first, again;
  ASSERT_TRUE(Create(admin_, "default", "viewer", "r1", &first).ok());
  ASSERT_TRUE(Create(admin_, "default", "viewer", "r1", &again).ok());
  EXPECT_EQ(again.key().name(), first.key().name());
  EXPECT_EQ(again.secret(), "");
}

TEST_F(DoorKeysTest, ATeamsAdminStaysInItsTeam) {
  const std::string nlp = MakeKey(Role::kAdmin, "nlp");
  v1::CreateKeyResponse created;
  EXPECT_TRUE(Create(nlp, "nlp", "viewer", "", &created).ok());
  const grpc::Status other = Create(nlp, "web", "viewer", "", &created);
  EXPECT_EQ(other.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonFor(other), "OTHER_TEAM");
  EXPECT_EQ(ReasonFor(Create(MakeKey(Role::kDeveloper), "default", "viewer", "", &created)),
            "ROLE_TOO_LOW");
}

TEST_F(DoorKeysTest, BadInputIsNamed) {
  v1::CreateKeyResponse created;
  const grpc::Status role = Create(admin_, "default", "root", "", &created);
  EXPECT_EQ(role.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(role.error_message(), HasSubstr("viewer, consumer, developer, admin"));
  v1::RevokeKeyRequest revoke;
  revoke.set_name("keys/1");
  v1::Key key;
  EXPECT_EQ(stub_->RevokeKey(With(admin_).get(), revoke, &key).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  revoke.set_name("teams/default/keys/none");
  EXPECT_EQ(ReasonFor(stub_->RevokeKey(With(admin_).get(), revoke, &key)), "KEY_NOT_FOUND");
}

}  // namespace
}  // namespace floe::gateway
