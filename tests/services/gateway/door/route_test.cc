#include "services/gateway/door/route.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::gateway {
namespace {

TEST(Route, FollowsThePackage) {
  EXPECT_EQ(*RouteOf("/floe.registry.v1.BlobService/GetBlob", ""), Destination::kRegistry);
  EXPECT_EQ(*RouteOf("/floe.tokenizer.v1.TokenizerService/Encode", ""), Destination::kTokenizer);
  EXPECT_EQ(*RouteOf("/floe.inference.v1.InferenceService/Generate", ""), Destination::kWorker);
  EXPECT_EQ(*RouteOf("/floe.retrieval.v1.RetrievalService/Search", ""), Destination::kRetrieval);
  EXPECT_EQ(*RouteOf("/floe.billing.v1.ReportService/Plan", ""), Destination::kBilling);
  EXPECT_EQ(*RouteOf("/floe.gateway.v1.KeyService/ListKeys", "trainer"), Destination::kGateway);
  EXPECT_EQ(RouteOf("/floe.registryx.v1.A/B", "").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(RouteOf("", "").status().code(), absl::StatusCode::kUnimplemented);
}

TEST(Route, JobsAreWhereTheClientSays) {
  const char* method = "/floe.jobs.v1.JobService/GetJob";
  EXPECT_EQ(*RouteOf(method, "tokenizer"), Destination::kTokenizer);
  EXPECT_EQ(*RouteOf(method, "trainer"), Destination::kTrainer);
  EXPECT_EQ(*RouteOf(method, "alignment"), Destination::kAlignment);
  for (const char* hint : {"", "registry", "Trainer"}) {
    const auto route = RouteOf(method, hint);
    EXPECT_EQ(route.status().code(), absl::StatusCode::kInvalidArgument) << hint;
    EXPECT_THAT(std::string(route.status().message()), testing::HasSubstr("x-floe-service"));
  }
}

TEST(Metadata, WhatOnlyTheDoorMaySayDoesNotPass) {
  for (const char* key : {"x-floe-team", "x-floe-role", "x-floe-key-id", "x-floe-service",
                          "x-floe-later", "authorization", "x-request-id", "traceparent",
                          "user-agent", ":authority", "grpc-timeout", "content-type", "te"}) {
    EXPECT_FALSE(PassesInwards(key)) << key;
  }
  for (const char* key : {"tracestate", "x-custom", "data-bin"}) {
    EXPECT_TRUE(PassesInwards(key)) << key;
    EXPECT_TRUE(PassesOutwards(key)) << key;
  }
  EXPECT_FALSE(PassesOutwards("grpc-status-details-bin")) << "the status carries it";
  EXPECT_FALSE(PassesOutwards("x-floe-team"));
}

}  // namespace
}  // namespace floe::gateway
