// Aliases, references and deletion over a real channel and a real Postgres.
#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AliasRpcTest : public RegistryTest {
 protected:
  AliasRpcTest() {
    for (int i = 1; i <= 3; ++i) versions_.push_back(*Publish("hamlet", absl::StrCat("w", i)));
  }
  absl::StatusOr<v1::Alias> GetAlias(const std::string& alias) {
    v1::GetAliasRequest request;
    request.set_name("teams/nlp/models/hamlet/aliases/" + alias);
    v1::Alias answer;
    const absl::Status status =
        Call(*registry_, &v1::RegistryService::Stub::GetAlias, request, answer);
    if (!status.ok()) return status;
    return answer;
  }

  std::vector<v1::ModelVersion> versions_;
};

TEST_F(AliasRpcTest, AMoveIsRememberedWithWhoAndWhy) {
  const auto made = SetAlias("hamlet", "production", 1);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->version(), versions_[0].name());
  EXPECT_EQ(made->digest(), versions_[0].digest());
  clock_.Advance(absl::Minutes(1));
  const auto moved = SetAlias("hamlet", "production", 3);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_NE(moved->etag(), made->etag());
  const auto read = GetAlias("production");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), moved->SerializeAsString());
  ASSERT_EQ(read->history_size(), 2);
  EXPECT_EQ(read->history(0).from_version(), versions_[0].name());
  EXPECT_EQ(read->history(0).to_version(), versions_[2].name());
  EXPECT_EQ(read->history(0).actor(), "key-1");
  EXPECT_EQ(read->history(0).reason(), "because");
  EXPECT_EQ(read->history(0).time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(read->history(1).from_version(), "");
  const auto version = client_->GetModelVersion(As("nlp"), versions_[2].name());
  EXPECT_THAT(version->aliases(), ElementsAre("production"));
}

TEST_F(AliasRpcTest, AStaleEtagIsAborted) {
  const auto made = SetAlias("hamlet", "production", 1);
  const auto moved = SetAlias("hamlet", "production", 2, made->etag());
  ASSERT_TRUE(moved.ok()) << moved.status();
  const auto stale = SetAlias("hamlet", "production", 3, made->etag());
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(stale.status())->reason, "ETAG_MISMATCH");
  EXPECT_EQ(GetAlias("production")->version(), versions_[1].name());
  // An etag for an alias that is not there cannot be current either.
  EXPECT_EQ(SetAlias("hamlet", "canary", 1, "move-1").status().code(), absl::StatusCode::kAborted);
}

TEST_F(AliasRpcTest, OfManyRivalsWithOneEtagOneWins) {
  const auto made = SetAlias("hamlet", "production", 1);
  std::vector<absl::StatusCode> codes(6);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < codes.size(); ++i) {
    threads.emplace_back([&, i] {
      codes[i] = SetAlias("hamlet", "production", 2 + static_cast<int64_t>(i % 2), made->etag())
                     .status()
                     .code();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(codes.begin(), codes.end(), absl::StatusCode::kOk), 1);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), absl::StatusCode::kAborted), 5);
  EXPECT_EQ(GetAlias("production")->history_size(), 2);
}

TEST_F(AliasRpcTest, RepeatingARequestReturnsTheAliasAsItWasThen) {
  const auto first = SetAlias("hamlet", "production", 1, "", "m1");
  ASSERT_TRUE(SetAlias("hamlet", "production", 2, "", "m2").ok());
  const auto again = SetAlias("hamlet", "production", 1, "", "m1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(GetAlias("production")->version(), versions_[1].name());
}

TEST_F(AliasRpcTest, PointingWhereItPointsChangesNothing) {
  const auto made = SetAlias("hamlet", "production", 1);
  const auto again = SetAlias("hamlet", "production", 1);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), made->SerializeAsString());
}

TEST_F(AliasRpcTest, NamesWhatIsWrongInAMove) {
  EXPECT_EQ(SetAlias("hamlet", "production", 9).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SetAlias("unknown", "production", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(SetAlias("hamlet", "17", 1).status().message()),
              HasSubstr("cannot be an alias"));
  EXPECT_EQ(GetAlias("production").status().code(), absl::StatusCode::kNotFound);
  v1::SetAliasRequest request;
  request.set_name("teams/nlp/models/hamlet/aliases/production");
  request.set_version("teams/nlp/models/macbeth/versions/1");
  v1::Alias answer;
  const absl::Status other =
      Call(*registry_, &v1::RegistryService::Stub::SetAlias, request, answer);
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(other.message()), HasSubstr("its own model"));
}

TEST_F(AliasRpcTest, EveryFormOfReferenceResolves) {
  ASSERT_TRUE(SetAlias("hamlet", "production", 2).ok());
  ASSERT_TRUE(SetAlias("hamlet", "canary", 3).ok());
  EXPECT_EQ(Resolve("hamlet")->name(), versions_[1].name());
  EXPECT_EQ(Resolve("hamlet@production")->name(), versions_[1].name());
  EXPECT_EQ(Resolve("hamlet@canary")->name(), versions_[2].name());
  EXPECT_EQ(Resolve("hamlet@1")->name(), versions_[0].name());
  EXPECT_EQ(Resolve("hamlet@sha256:" + versions_[0].digest())->name(), versions_[0].name());
  EXPECT_EQ(Resolve("sha256:" + versions_[2].digest())->name(), versions_[2].name());
  for (const std::string unknown : {"macbeth", "hamlet@staging", "hamlet@4"}) {
    EXPECT_EQ(Resolve(unknown).status().code(), absl::StatusCode::kNotFound) << unknown;
  }
  EXPECT_EQ(Resolve("macbeth@sha256:" + versions_[0].digest()).status().code(),
            absl::StatusCode::kNotFound);
  for (const std::string wrong : {"", "hamlet@", "@1", "hamlet@sha256:12", "Hamlet", "a/b"}) {
    EXPECT_EQ(Resolve(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

TEST_F(AliasRpcTest, DeletionIsRefusedWhileAnAliasOrAChildNeedsTheVersion) {
  ASSERT_TRUE(SetAlias("hamlet", "production", 1).ok());
  const auto child = Publish("tuned", "w4", {versions_[0].digest(), "", ""});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(child->lineage().parent_digest(), versions_[0].digest());
  const absl::Status refused = Delete(versions_[0].name());
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused)->reason, "VERSION_IN_USE");
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("teams/nlp/models/hamlet/aliases/production"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("teams/nlp/models/tuned/versions/1"));
  ASSERT_TRUE(SetAlias("hamlet", "production", 2).ok());
  EXPECT_EQ(Delete(versions_[0].name()).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Delete(child->name()).ok());
  ASSERT_TRUE(Delete(versions_[0].name(), "d1").ok());
  EXPECT_TRUE(absl::IsNotFound(client_->GetModelVersion(As("nlp"), versions_[0].name()).status()));
  // History still tells of it; its number is not given again.
  EXPECT_EQ(GetAlias("production")->history(1).to_version(), versions_[0].name());
  EXPECT_EQ(Publish("hamlet", "w9")->name(), "teams/nlp/models/hamlet/versions/4");
  EXPECT_TRUE(Delete(versions_[0].name(), "d1").ok()) << "repeated with its request_id";
  EXPECT_EQ(Delete(versions_[0].name(), "d2").code(), absl::StatusCode::kNotFound);
}

TEST_F(AliasRpcTest, AChildNeedsNoParentThatTheTeamHasUnderAnotherNameToo) {
  const auto copy = Publish("copy", "w1");
  ASSERT_EQ(copy->digest(), versions_[0].digest());
  ASSERT_TRUE(Publish("tuned", "w4", {copy->digest(), "", ""}).ok());
  EXPECT_TRUE(Delete(copy->name()).ok());
  EXPECT_EQ(Delete(versions_[0].name()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AliasRpcTest, ParentsAndChildrenCannotPassEachOther) {
  // Whatever comes first, no child is left whose parent was deleted after it was published.
  for (int round = 0; round < 8; ++round) {
    const auto parent = Publish("base", absl::StrCat("base ", round));
    ASSERT_TRUE(parent.ok()) << parent.status();
    absl::Status deleted;
    std::thread deleter([&] { deleted = Delete(parent->name()); });
    const auto child = Publish("tuned", absl::StrCat("tuned ", round), {parent->digest(), "", ""});
    deleter.join();
    ASSERT_TRUE(child.ok()) << child.status();
    if (deleted.ok()) continue;  // it was gone before the child came
    EXPECT_EQ(deleted.code(), absl::StatusCode::kFailedPrecondition) << deleted;
    EXPECT_TRUE(client_->GetModelVersion(As("nlp"), parent->name()).ok());
  }
}

TEST_F(AliasRpcTest, LatestIsTheNewestVersionThatIsThere) {
  EXPECT_EQ(Resolve("hamlet@latest")->name(), versions_[2].name());
  ASSERT_TRUE(Delete(versions_[2].name()).ok());
  EXPECT_EQ(Resolve("hamlet@latest")->name(), versions_[1].name());
  EXPECT_EQ(Resolve("nobody@latest").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SetAlias("hamlet", "latest", 1).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::registry
