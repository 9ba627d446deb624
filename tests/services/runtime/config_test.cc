#include "services/runtime/config.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/temp_dir.h"

namespace floe::runtime {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

// One program's options, parsed in a clean environment.
class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    config_.Add("name", name_, "A name");
    config_.Add("queue-size", queue_size_, "A number");
    config_.Add("wait", wait_, "A time");
    config_.Add("eager", eager_, "A switch");
    config_.Add("workers", workers_, "A list");
    config_.AddSecret("api-key", api_key_, "A secret");
  }
  ~ConfigTest() override {
    for (const std::string& variable : set_) ::unsetenv(variable.c_str());
  }
  void SetEnvironment(const std::string& variable, const std::string& value) {
    ::setenv(variable.c_str(), value.c_str(), 1);
    set_.push_back(variable);
  }
  std::optional<int> Parse(std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"floe-test"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto code = config_.Parse(static_cast<int>(argv.size()), argv.data());
    stdout_ = testing::internal::GetCapturedStdout();
    stderr_ = testing::internal::GetCapturedStderr();
    return code;
  }

  Config config_{"floe-test", "A test."};
  std::string name_ = "default";
  int queue_size_ = 10;
  absl::Duration wait_ = absl::Seconds(5);
  bool eager_ = false;
  std::vector<std::string> workers_;
  std::string api_key_;
  test::TempDir folder_;
  std::vector<std::string> set_;
  std::string stdout_, stderr_;
};

TEST_F(ConfigTest, WithoutAnythingTheDefaultsStay) {
  EXPECT_EQ(Parse({}), std::nullopt) << stderr_;
  EXPECT_EQ(name_, "default");
  EXPECT_EQ(queue_size_, 10);
}

TEST_F(ConfigTest, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  const std::string file =
      folder_.Write("c.yaml", "name: file\nqueue-size: 1\nwait: 1s\neager: true\n");
  SetEnvironment("FLOE_NAME", "environment");
  SetEnvironment("FLOE_QUEUE_SIZE", "2");
  ASSERT_EQ(Parse({"--config", file, "--name", "flag"}), std::nullopt) << stderr_;
  EXPECT_EQ(name_, "flag");
  EXPECT_EQ(queue_size_, 2);
  EXPECT_EQ(wait_, absl::Seconds(1));
  EXPECT_TRUE(eager_);
}

TEST_F(ConfigTest, TheFileMayBeNamedByTheEnvironment) {
  SetEnvironment("FLOE_CONFIG", folder_.Write("c.yaml", "name: file\n"));
  Config config("floe-test", "A test.");
  std::string name;
  config.Add("name", name, "A name");
  const char* argv[] = {"floe-test"};
  EXPECT_EQ(config.Parse(1, argv), std::nullopt);
  EXPECT_EQ(name, "file");
}

TEST_F(ConfigTest, YamlAndIniSpellKeysEitherWay) {
  ASSERT_EQ(Parse({"--config", folder_.Write("c.yml", "queue_size: 3\nworkers: [a, b]\n")}),
            std::nullopt)
      << stderr_;
  EXPECT_EQ(queue_size_, 3);
  EXPECT_THAT(workers_, ElementsAre("a", "b"));
}

TEST_F(ConfigTest, IniIsReadToo) {
  ASSERT_EQ(Parse({"--config", folder_.Write("c.ini", "queue-size=4\nname=ini\n")}), std::nullopt)
      << stderr_;
  EXPECT_EQ(queue_size_, 4);
  EXPECT_EQ(name_, "ini");
}

TEST_F(ConfigTest, AnUnknownKeyOfTheFileFails) {
  EXPECT_EQ(Parse({"--config", folder_.Write("c.yaml", "nmae: typo\n")}), 2);
  EXPECT_THAT(stderr_, AllOf(HasSubstr("unknown key 'nmae'"), HasSubstr("c.yaml")));
}

TEST_F(ConfigTest, AKeyGivenTwiceFails) {
  EXPECT_EQ(Parse({"--config", folder_.Write("c.yaml", "queue-size: 1\nqueue_size: 2\n")}), 2);
  EXPECT_THAT(stderr_, HasSubstr("'queue-size' is given twice"));
}

TEST_F(ConfigTest, AnUnknownFlagFails) {
  EXPECT_EQ(Parse({"--nmae", "x"}), 2);
  EXPECT_THAT(stderr_, AllOf(HasSubstr("--nmae"), HasSubstr("Try floe-test --help")));
}

TEST_F(ConfigTest, AFileThatIsMissingOrNoMapFails) {
  EXPECT_EQ(Parse({"--config", folder_ / "missing.yaml"}), 2);
  EXPECT_EQ(Parse({"--config", folder_.Write("list.yaml", "- a\n- b\n")}), 2);
}

TEST_F(ConfigTest, ValuesOfTheWrongKindFail) {
  EXPECT_EQ(Parse({"--queue-size", "many"}), 2);
  EXPECT_THAT(stderr_, HasSubstr("--queue-size"));
  EXPECT_EQ(Parse({"--wait", "long"}), 2);
  EXPECT_THAT(stderr_, HasSubstr("'long' is no duration"));
  EXPECT_EQ(Parse({"--wait", "-1s"}), 2);
}

TEST_F(ConfigTest, ASecretComesFromTheEnvironmentOrAFileAndIsNeverShown) {
  const std::string file = folder_.Write("key", "from-file\n");
  ASSERT_EQ(Parse({"--api-key-file", file, "--check-config"}), 0) << stderr_;
  EXPECT_EQ(api_key_, "from-file");
  EXPECT_THAT(stdout_, AllOf(HasSubstr("api-key = ***"), Not(HasSubstr("from-file"))));
  SetEnvironment("FLOE_API_KEY", "from-environment");
  ASSERT_EQ(Parse({"--api-key-file", file, "--check-config"}), 0);
  EXPECT_EQ(api_key_, "from-environment");
  EXPECT_THAT(config_.Effective(), Contains(Pair("api-key", "***")));
}

TEST_F(ConfigTest, ASecretIsNeitherAFlagNorAKeyOfTheFile) {
  EXPECT_EQ(Parse({"--api-key", "x"}), 2);
  EXPECT_EQ(Parse({"--config", folder_.Write("c.yaml", "api-key: x\n")}), 2);
  EXPECT_THAT(stderr_, HasSubstr("secrets come from"));
}

TEST_F(ConfigTest, ASecretsFileThatIsMissingIsNamed) {
  EXPECT_EQ(Parse({"--api-key-file", folder_ / "missing"}), 2);
  EXPECT_THAT(stderr_, HasSubstr("--api-key-file"));
}

TEST_F(ConfigTest, CheckConfigShowsWhatHoldsAndEnds) {
  EXPECT_EQ(Parse({"--check-config", "--wait", "250ms"}), 0);
  EXPECT_THAT(stdout_, AllOf(HasSubstr("wait = 250ms"), HasSubstr("name = default")));
}

TEST_F(ConfigTest, ChecksRunAfterAllValuesAreKnown) {
  config_.AddCheck([this]() -> absl::Status {
    if (queue_size_ > 0) return absl::OkStatus();
    return absl::InvalidArgumentError("--queue-size must be above 0");
  });
  EXPECT_EQ(Parse({"--queue-size", "0", "--check-config"}), 2);
  EXPECT_THAT(stderr_, HasSubstr("--queue-size must be above 0"));
}

TEST_F(ConfigTest, HelpTellsOptionsAndDefaults) {
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(stdout_, AllOf(HasSubstr("--queue-size"), HasSubstr("10"), HasSubstr("A number")));
}

}  // namespace
}  // namespace floe::runtime
