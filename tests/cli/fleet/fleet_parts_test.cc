// The parts of `floe up`: files, ports, certificates, processes, and who they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fleet/backoff.h"
#include "cli/fleet/certificates.h"
#include "cli/fleet/fleet_files.h"
#include "cli/fleet/fleet_state.h"
#include "cli/fleet/ports.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/process.h"
#include "cli/fleet/redis_server.h"
#include "cli/fleet/service_plan.h"
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/files.h"
#include "gateway/auth/secret.h"
#include "gateway/policy/policy.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(PollMilliseconds, RoundsUpAndBoundsEvenForever) {
  EXPECT_EQ(PollMilliseconds(absl::InfiniteDuration()), 60'000);
  EXPECT_EQ(PollMilliseconds(absl::Hours(3)), 60'000);
  EXPECT_EQ(PollMilliseconds(absl::Microseconds(1)), 1);
  EXPECT_EQ(PollMilliseconds(absl::Milliseconds(250)), 250);
  EXPECT_EQ(PollMilliseconds(-absl::Seconds(1)), 0);
  EXPECT_EQ(PollMilliseconds(-absl::InfiniteDuration()), 0);
}

TEST(BackoffTest, DelaysDoubleUpToALimitAndAreForgotten) {
  EXPECT_EQ(RestartDelay(1), absl::Milliseconds(250));
  EXPECT_EQ(RestartDelay(2), absl::Milliseconds(500));
  EXPECT_EQ(RestartDelay(5), absl::Seconds(4));
  EXPECT_EQ(RestartDelay(1000), absl::Seconds(30));
  EXPECT_EQ(DeathsInARow(7, absl::Seconds(1)), 8);
  EXPECT_EQ(DeathsInARow(7, kStableRun), 1);
}

TEST(LayoutTest, FindsTheNearestFleetUpward) {
  test::TempDir dir;
  dir.Write("a/.floe/fleet.json", "{}");
  std::filesystem::create_directories(dir / "a/b/.floe");  // without a fleet.json: no fleet
  EXPECT_EQ(FindFleetFolder(dir / "a/b"), dir / "a/.floe");
  EXPECT_EQ(FindFleetFolder(dir.path()), "");
}

TEST(LayoutTest, ATrailingSlashChangesNothing) {
  EXPECT_EQ(Layout("/srv/floe/").root(), "/srv/floe");
  EXPECT_EQ(Layout("/srv/floe/").short_id(), Layout("/srv/./floe").short_id());
}

TEST(PostgresTest, ASocketsPathFitsIntoItsLimit) {
  EXPECT_EQ(SocketFolder(Layout("/srv/f")), "/srv/f/run/postgres");
  const std::filesystem::path deep = absl::StrCat("/srv/", std::string(100, 'x'));
  const std::string chosen = SocketFolder(Layout(deep)).string();
  EXPECT_THAT(chosen, HasSubstr("/tmp/floe-"));
  EXPECT_LE(chosen.size() + std::string("/.s.PGSQL.5432").size(), 107u);
}

TEST(RedisTest, ASocketsPathFitsIntoItsLimit) {
  EXPECT_EQ(RedisSocket(Layout("/srv/f")), "/srv/f/run/redis.sock");
  const std::filesystem::path deep = absl::StrCat("/srv/", std::string(100, 'x'));
  const std::string chosen = RedisSocket(Layout(deep)).string();
  EXPECT_THAT(chosen, HasSubstr("/tmp/floe-"));
  EXPECT_LE(chosen.size(), 107u);
}

TEST(RedisTest, WithoutTheProgramThePackageIsNamed) {
  const auto none = FindRedisProgram("/none/redis-server");
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("apt-get install redis-server"));
}

// Also where the fleet's own folder has a path that is too long for a socket.
TEST(RedisTest, TheServerAnswersOnItsSocketAndLeavesNothing) {
  test::TempDir dir;
  for (const std::string& name : {std::string("short"), std::string(100, 'x')}) {
    const Layout layout(dir / name);
    ASSERT_TRUE(MakeFolders(layout).ok());
    ASSERT_TRUE(PrepareRedis(layout).ok());
    EXPECT_EQ(*ReadFile(layout.redis_url()),
              absl::StrCat("unix://", RedisSocket(layout).string(), "\n"));
    EXPECT_FALSE(IsRedisReady(layout));
    const auto spec = RedisProcess(layout);
    ASSERT_TRUE(spec.ok()) << spec.status();
    auto server =
        test::ChildProcess::Start({.argv = spec->argv, .output = dir / "redis.log"}).value();
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (!IsRedisReady(layout) && absl::Now() < give_up) {
      ASSERT_FALSE(server.Wait(absl::Milliseconds(5))) << "it ended";
    }
    EXPECT_TRUE(IsRedisReady(layout));
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait(absl::Seconds(30)), 0);
    RemoveRedisSocket(layout);
    EXPECT_FALSE(std::filesystem::exists(RedisSocket(layout)));
    EXPECT_FALSE(std::filesystem::exists(layout.run() / "dump.rdb"));
  }
}

TEST(PolicyTest, ANewFleetsPolicyIsWrittenOnceAndIsOne) {
  test::TempDir dir;
  const Layout layout(dir.path());
  ASSERT_TRUE(EnsurePolicy(layout).ok());
  const auto policy = gateway::policy::Policy::Parse(*ReadFile(layout.policy()));
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_TRUE((*policy)->For("default").AllowsModel("hamlet"));
  // What a person wrote stays.
  dir.Write("policy.yaml", "version: mine");
  ASSERT_TRUE(EnsurePolicy(layout).ok());
  EXPECT_EQ(*ReadFile(layout.policy()), "version: mine");
}

TEST(PostgresTest, TheNewestVersionByNumberIsTaken) {
  test::TempDir dir;
  for (const char* version : {"9", "15", "14"}) {
    dir.Write(absl::StrCat(version, "/bin/initdb"), "");
    dir.Write(absl::StrCat(version, "/bin/postgres"), "");
  }
  EXPECT_EQ(*FindPostgresPrograms(dir.path()), dir / "15/bin");
  const auto none = FindPostgresPrograms(dir / "nowhere");
  EXPECT_TRUE(absl::IsNotFound(none.status()));
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("apt-get install postgresql"));
}

TEST(PortsTest, AChosenPortIsFreeAndAPortInUseIsNot) {
  std::set<int> taken;
  const auto first = ChoosePort(taken);
  const auto second = ChoosePort(taken);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(*first, *second);
  EXPECT_TRUE(IsPortFree(*first));
}

TEST(FleetFileTest, SurvivesTheWayThroughAFile) {
  FleetFile fleet;
  fleet.http_port = 8080;
  fleet.postgres_socket = "/tmp/x";
  fleet.services["gateway"] = {5, 6};
  fleet.services["runner"] = {0, 7};
  const auto read = FleetFile::Parse(fleet.ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, fleet);
  EXPECT_FALSE(FleetFile::Parse("[]").ok());
  EXPECT_FALSE(FleetFile::Parse("{\"version\": 2}").ok());
}

TEST(FleetFilesTest, APortThatWasAskedForAndIsTakenIsNamed) {
  test::TempDir dir;
  const Layout layout(dir / "f");
  std::vector<std::string> told;
  UpOptions options;
  options.tell = [&](const std::string& line) { told.push_back(line); };
  const auto fleet = ChoosePorts(layout, nullptr, options);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->services.size(), FleetServices().size());
  // The same again, and the door is where it was.
  EXPECT_EQ(*ChoosePorts(layout, &*fleet, options), *fleet);
  EXPECT_TRUE(told.empty() || told.front().find("HTTP") != std::string::npos);
  options.http_port = 22022;
  options.door_port = 22022;
  const auto clash = ChoosePorts(layout, nullptr, options);
  EXPECT_TRUE(absl::IsUnavailable(clash.status()));
  EXPECT_THAT(std::string(clash.status().message()), HasSubstr("22022"));
}

TEST(FleetFilesTest, TheAdminKeyIsPrivateAndStays) {
  test::TempDir dir;
  const Layout layout(dir / "f");
  ASSERT_TRUE(MakeFolders(layout).ok());
  ASSERT_TRUE(EnsureAdminKey(layout).ok());
  const std::string key = *ReadFile(layout.admin_key());
  // The gateway takes it as it stands in the file.
  EXPECT_TRUE(gateway::HashSecret(key.substr(0, key.size() - 1)).ok());
  struct stat info;
  ASSERT_EQ(::stat(layout.admin_key().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_TRUE(EnsureAdminKey(layout).ok());
  EXPECT_EQ(*ReadFile(layout.admin_key()), key);
}

TEST(FleetFilesTest, MissingProgramsAreNamed) {
  test::TempDir dir;
  const absl::Status status = CheckPrograms(dir.path());
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("floe-registry"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("./dev build"));
}

TEST(FleetStateTest, SurvivesTheWayThroughAFile) {
  FleetState state;
  state.supervisor = {1, 2, "boot"};
  state.processes.push_back(
      {"registry", ProcessPhase::kBackingOff, {}, absl::FromUnixMillis(5), 3, "killed by SIGKILL"});
  const auto read = FleetState::Parse(state.ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, state);
}

TEST(ServicePlanTest, WhatAServiceCallsStandsBeforeIt) {
  FleetFile fleet;
  fleet.http_port = 8080;
  int port = 1;
  for (const ServiceKind& kind : FleetServices()) {
    fleet.services[std::string(kind.name)] = {port, port + 1};
    port += 2;
  }
  const Layout layout("/srv/f");
  const auto processes = ServiceProcesses(layout, fleet, BudgetOf(2, 1 << 20), "/bin");
  ASSERT_EQ(processes.size(), FleetServices().size());
  EXPECT_EQ(processes.front().name, "registry");
  EXPECT_EQ(processes.back().name, "gateway");
  EXPECT_THAT(processes.back().argv, Contains("/srv/f/admin.key"));
  EXPECT_THAT(processes.back().argv, Contains("/srv/f/run/redis.url"));
  EXPECT_THAT(processes.back().argv, Contains("/srv/f/policy.yaml"));
  EXPECT_THAT(processes.back().argv, Contains("/srv/f/journals/gateway"));
  EXPECT_EQ(processes[7].name, "runner");
  EXPECT_THAT(processes[7].argv,
              Contains(absl::StrCat("tokenizer=127.0.0.1:", 3, ",trainer=127.0.0.1:", 5,
                                    ",alignment=127.0.0.1:", 7)));
  // Only the seven with a schema learn how to reach the database.
  int with_database = 0;
  for (const auto& process : processes) {
    with_database += std::count(process.argv.begin(), process.argv.end(), "--database-url-file");
  }
  EXPECT_EQ(with_database, 7);
}

TEST(ServicePlanTest, MemoryIsShared) {
  EXPECT_EQ(BudgetOf(2, 4096).inference_memory_mib, 2048);
  EXPECT_EQ(BudgetOf(2, 1 << 20).inference_memory_mib, 8192);
  EXPECT_EQ(BudgetOf(0, 0).threads, 1);
  EXPECT_EQ(BudgetOf(2, 4096).memory_mib, 4096) << "what a training job may take";
}

class CertificatesTest : public testing::Test {
 protected:
  X509* Read(const std::string& name) {
    std::FILE* file = std::fopen((dir_ / name).c_str(), "r");
    if (file == nullptr) return nullptr;
    read_.emplace_back(PEM_read_X509(file, nullptr, nullptr, nullptr), X509_free);
    std::fclose(file);
    return read_.back().get();
  }
  test::TempDir dir_;
  const std::vector<std::string> names_ = {"registry", "gateway"};
  std::vector<std::unique_ptr<X509, decltype(&X509_free)>> read_;
};

TEST_F(CertificatesTest, TheAuthorityVouchesForEachServiceAtThisMachine) {
  ASSERT_TRUE(EnsureCertificates(dir_.path(), names_, absl::Now()).ok());
  X509* ca = Read("ca.pem");
  X509* service = Read("gateway.pem");
  ASSERT_TRUE(ca != nullptr && service != nullptr);
  EXPECT_EQ(X509_verify(service, X509_get0_pubkey(ca)), 1);
  EXPECT_EQ(X509_check_ip_asc(service, "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_host(service, "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(service, "floe-registry", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ca(service), 0);
  for (const char* name : {"ca.key", "gateway.key", "gateway.pem"}) {
    struct stat info;
    ASSERT_EQ(::stat((dir_ / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(CertificatesTest, GoodOnesStayOldOnesAreMadeAnew) {
  ASSERT_TRUE(EnsureCertificates(dir_.path(), names_, absl::Now()).ok());
  const std::string before = *ReadFile(dir_ / "gateway.pem");
  const std::string authority = *ReadFile(dir_ / "ca.pem");
  ASSERT_TRUE(EnsureCertificates(dir_.path(), names_, absl::Now()).ok());
  EXPECT_EQ(*ReadFile(dir_ / "gateway.pem"), before);
  const absl::Time later = absl::Now() + absl::Hours(24 * 350);
  ASSERT_TRUE(EnsureCertificates(dir_.path(), names_, later).ok());
  EXPECT_NE(*ReadFile(dir_ / "gateway.pem"), before);
  EXPECT_EQ(*ReadFile(dir_ / "ca.pem"), authority);
}

TEST(ProcessTest, RunsACommandWithItsInput) {
  const auto result =
      RunCommand({.argv = {"/bin/sh", "-c", "cat; exit 3"}}, "text", absl::Minutes(1));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "text");
  EXPECT_EQ(result->code, 3);
}

TEST(ProcessTest, ACommandThatHangsIsKilled) {
  const auto result =
      RunCommand({.argv = {"/bin/sh", "-c", "while :; do read x; done < /dev/zero"}}, "",
                 absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status()));
}

TEST(ProcessTest, AProgramThatIsNotThereIsAnErrorOfTheCaller) {
  EXPECT_TRUE(absl::IsNotFound(Spawn({.argv = {"/no/such/program"}}).status()));
}

TEST(ProcessTest, AnIdentityIsOfOneProcessOnly) {
  const auto self = IdentityOf(::getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_TRUE(IsAlive(*self));
  ProcessIdentity reused = *self;
  ++reused.start_ticks;  // the same number, another process
  EXPECT_FALSE(IsAlive(reused));
  EXPECT_TRUE(WaitUntilGone(reused, absl::ZeroDuration()));
  StopProcess(reused, SIGKILL, absl::ZeroDuration());  // must not kill this test
  ProcessIdentity before_boot = *self;
  before_boot.boot_id = "another";
  EXPECT_FALSE(IsAlive(before_boot));
}

TEST(ProcessTest, OneThatIgnoresTheSignalIsKilledAfterItsGrace) {
  const auto pid = Spawn({.argv = {"/bin/sh", "-c", "trap '' TERM; while :; do :; done"}});
  ASSERT_TRUE(pid.ok()) << pid.status();
  const auto identity = IdentityOf(*pid);
  ASSERT_TRUE(identity.has_value());
  StopProcess(*identity, SIGTERM, absl::Milliseconds(100));
  int status = 0;
  ASSERT_EQ(::waitpid(*pid, &status, 0), *pid);
  EXPECT_EQ(DescribeExit(status).substr(0, 10), "killed by ");
}

}  // namespace
}  // namespace floe::cli
