#include "services/runtime/peers.h"

#include "gtest/gtest.h"

#include "base/error_reason.h"

namespace floe::runtime {
namespace {

const PeerRules kRules = {{"gateway", {"*"}}, {"inference", {"billing.IngestAttempts"}}};

TEST(PeersTest, ACertificatesNameEndsInItsService) {
  for (const char* name :
       {"gateway", "floe-gateway", "acme-floe-gateway", "floe-gateway.floe.svc.cluster.local"}) {
    EXPECT_EQ(ServiceOf(name), "gateway") << name;
  }
  EXPECT_EQ(ServiceOf("gateway-runner"), "runner");
  EXPECT_EQ(ServiceOf("*.floe-gateway.svc"), "*");
  EXPECT_EQ(ServiceOf(""), "");
}

TEST(PeersTest, ARuleNamesTheMethodsOfAService) {
  EXPECT_TRUE(CheckPeer(kRules, {"gateway"}, "billing.CreatePriceBook").ok());
  EXPECT_TRUE(CheckPeer(kRules, {"localhost", "inference"}, "billing.IngestAttempts").ok());
  const absl::Status refused = CheckPeer(kRules, {"inference"}, "billing.IngestUsage");
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(refused)->reason, "PEER_NOT_ALLOWED");
  EXPECT_FALSE(CheckPeer(kRules, {"runner"}, "billing.IngestAttempts").ok());
  EXPECT_FALSE(CheckPeer(kRules, {"*"}, "billing.IngestAttempts").ok());
  EXPECT_FALSE(CheckPeer(kRules, {""}, "billing.IngestAttempts").ok());
}

TEST(PeersTest, WithoutTlsOrRulesEveryPeerMay) {
  EXPECT_TRUE(CheckPeer(kRules, {}, "billing.IngestUsage").ok());
  EXPECT_TRUE(CheckPeer({}, {"runner"}, "billing.IngestUsage").ok());
}

}  // namespace
}  // namespace floe::runtime
