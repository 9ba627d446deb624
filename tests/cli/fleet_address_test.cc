// Where a command looks for its fleet and its key.
#include "cli/door/fleet_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cli/fleet/fleet_file.h"

#include "tests/support/temp_dir.h"

namespace floe::cli {
namespace {

using testing::HasSubstr;

class FleetAddressTest : public testing::Test {
 protected:
  FleetAddressTest() {
    fleet_.http_port = 8081;
    fleet_.services["gateway"] = {4000, 4001};
    dir_.Write("project/.floe/fleet.json", fleet_.ToJson());
    dir_.Write("project/.floe/admin.key", "floe-admin\n");
    std::filesystem::create_directories(dir_ / "project/a/b");
    std::filesystem::create_directories(dir_ / "elsewhere");
  }
  absl::StatusOr<FleetAddress> Resolve(const std::filesystem::path& folder) {
    return ResolveFleetAddress(
        flags_, [this](const char* name) { return variables_[name]; }, folder);
  }

  test::TempDir dir_;
  FleetFile fleet_;
  AddressFlags flags_;
  std::map<std::string, std::string> variables_;
};

TEST_F(FleetAddressTest, TheNearestFleetAboveIsFound) {
  const auto address = Resolve(dir_ / "project/a/b");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->door, fleet_.door());
  EXPECT_EQ(address->http, fleet_.http());
  EXPECT_EQ(address->key, "floe-admin");
  EXPECT_EQ(address->ca, (dir_ / "project/.floe/certs/ca.pem").string());
}

TEST_F(FleetAddressTest, WithoutAFleetItSaysWhatToDo) {
  const auto address = Resolve(dir_ / "elsewhere");
  EXPECT_TRUE(absl::IsNotFound(address.status()));
  EXPECT_THAT(std::string(address.status().message()), HasSubstr("floe up"));
}

TEST_F(FleetAddressTest, FlagsGoBeforeVariablesBeforeTheFolder) {
  variables_["FLOE_DOOR"] = "door.example:1";
  variables_["FLOE_KEY"] = "floe-variable";
  auto address = Resolve(dir_ / "project");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->door, "door.example:1");
  EXPECT_EQ(address->key, "floe-variable");
  EXPECT_EQ(address->http, "") << "another fleet's HTTP is not this folder's";

  flags_.door = "door.example:2";
  flags_.key_file = dir_.Write("key", "floe-file\n");
  address = Resolve(dir_ / "project");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->door, "door.example:2");
  EXPECT_EQ(address->key, "floe-file");
}

TEST_F(FleetAddressTest, AFolderCanBeNamed) {
  variables_["FLOE_DIR"] = dir_ / "project/.floe";
  const auto address = Resolve(dir_ / "elsewhere");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->door, fleet_.door());
}

TEST_F(FleetAddressTest, ADoorWithoutAKeyIsNotTried) {
  variables_["FLOE_DOOR"] = "door.example:1";
  EXPECT_TRUE(absl::IsUnauthenticated(Resolve(dir_ / "elsewhere").status()));
  variables_["FLOE_KEY_FILE"] = dir_ / "no-such-file";
  const auto address = Resolve(dir_ / "elsewhere");
  EXPECT_TRUE(absl::IsUnauthenticated(address.status()));
  EXPECT_THAT(std::string(address.status().message()), HasSubstr("no-such-file"));
}

TEST_F(FleetAddressTest, InsecureStaysOnThisMachine) {
  variables_["FLOE_DOOR"] = "door.example:1";
  variables_["FLOE_KEY"] = "floe-variable";
  flags_.insecure = true;
  EXPECT_TRUE(absl::IsInvalidArgument(Resolve(dir_ / "elsewhere").status()));
}

TEST_F(FleetAddressTest, ABrokenFleetFileIsNamed) {
  dir_.Write("project/.floe/fleet.json", "{\"version\": 1, \"http_port\": 99999999}");
  const auto address = Resolve(dir_ / "project");
  EXPECT_TRUE(absl::IsInvalidArgument(address.status()));
  EXPECT_THAT(std::string(address.status().message()), HasSubstr("fleet.json"));
}

}  // namespace
}  // namespace floe::cli
