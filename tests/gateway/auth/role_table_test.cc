#include "gateway/auth/role_table.h"

#include <filesystem>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "floe/billing/v1/budget.pb.h"
#include "floe/billing/v1/price_book.pb.h"
#include "floe/billing/v1/quote.pb.h"
#include "floe/billing/v1/report.pb.h"
#include "floe/billing/v1/usage.pb.h"
#include "floe/gateway/v1/gateway.pb.h"
#include "floe/inference/v1/inference.pb.h"
#include "floe/jobs/v1/jobs.pb.h"
#include "floe/registry/v1/registry.pb.h"
#include "floe/retrieval/v1/retrieval.pb.h"
#include "floe/tokenizer/v1/tokenizer.pb.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;

// The methods of every service in proto/floe. A message of each package is named so that its
// descriptors are linked; a package that is not fails here, by its file's name.
std::set<std::string> AllMethods() {
  billing::v1::Budget::descriptor();
  billing::v1::PriceBook::descriptor();
  billing::v1::QuoteRequest::descriptor();
  billing::v1::ReportRow::descriptor();
  billing::v1::UsageEvent::descriptor();
  v1::Key::descriptor();
  inference::v1::Finish::descriptor();
  jobs::v1::Job::descriptor();
  registry::v1::Model::descriptor();
  retrieval::v1::Chunk::descriptor();
  tokenizer::v1::EncodeRequest::descriptor();
  std::set<std::string> methods;
  const std::filesystem::path root = FLOE_PROTO_DIR;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".proto") continue;
    const std::string name = std::filesystem::relative(entry.path(), root);
    if (name.find("/common/") != std::string::npos) continue;  // no services
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name);
    if (file == nullptr) {
      ADD_FAILURE() << name << " is not linked into this test: name one of its messages above";
      continue;
    }
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.insert("/" + service->full_name() + "/" + service->method(m)->name());
      }
    }
  }
  return methods;
}

// Leases are for runners, as is evidence; a worker that generates, scores or embeds asks nobody
// whose the checkpoint is; usage and slices of budgets are what gateways and workers tell billing.
bool IsBetweenServices(const std::string& method) {
  for (const char* part :
       {".LeaseService/", "InferenceService/Generate", "InferenceService/Score",
        "InferenceService/Embed", "InferenceService/LoadCheckpoint",
        "InferenceService/UnloadCheckpoint", "RegistryService/CreateEvaluation", ".UsageService/",
        "BudgetService/ListApplicableBudgets", "BudgetService/AcquireSlice",
        "BudgetService/RenewSlice", "BudgetService/ReturnSlice"}) {
    if (method.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(RoleTable, HasARuleForEveryMethodAndNoOther) {
  const std::set<std::string> methods = AllMethods();
  ASSERT_GT(methods.size(), 30u);
  std::set<std::string> ruled;
  for (const MethodRule& rule : MethodRules()) {
    EXPECT_TRUE(ruled.emplace(rule.method).second) << rule.method << " is there twice";
    EXPECT_TRUE(methods.contains(std::string(rule.method))) << rule.method << " does not exist";
  }
  for (const std::string& method : methods) {
    EXPECT_TRUE(ruled.contains(method)) << method << " has no rule: decide who may call it";
  }
}

TEST(RoleTable, LookingIsForViewersAndChangingIsNot) {
  for (const std::string& method : AllMethods()) {
    const MethodRule* rule = FindMethodRule(method);
    ASSERT_NE(rule, nullptr);
    const std::string verb = method.substr(method.rfind('/') + 1);
    EXPECT_EQ(!rule->least.has_value(), IsBetweenServices(method)) << method;
    const bool internal = !rule->least.has_value();
    if (internal) continue;
    for (const char* change : {"Create", "Delete", "Set", "Upload", "Cancel", "Revoke"}) {
      if (verb.rfind(change, 0) != 0) continue;
      EXPECT_GE(*rule->least, Role::kDeveloper) << method;
    }
    if (verb == "GetModel" || verb == "WatchJob") {
      EXPECT_EQ(*rule->least, Role::kViewer);
    }
  }
}

TEST(RoleTable, RefusalsNameTheRoleNeeded) {
  const Identity viewer{"nlp", Role::kViewer, "k"};
  const absl::Status low = Authorize(viewer, "/floe.jobs.v1.JobService/CreateJob");
  EXPECT_EQ(low.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(low.message()), HasSubstr("needs the role developer"));
  EXPECT_EQ(ReasonOf(low)->metadata.at("needed"), "developer");
  EXPECT_TRUE(Authorize(viewer, "/floe.jobs.v1.JobService/GetJob").ok());

  const Identity admin{"default", Role::kAdmin, "k"};
  const absl::Status lease = Authorize(admin, "/floe.jobs.v1.LeaseService/AcquireLease");
  EXPECT_EQ(lease.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(lease)->reason, "METHOD_INTERNAL");
  EXPECT_EQ(Authorize(admin, "/floe.jobs.v1.JobService/getjob").code(),
            absl::StatusCode::kUnimplemented);
}

TEST(Role, NamesGoBothWaysAndOthersAreRefused) {
  for (const Role role : {Role::kViewer, Role::kConsumer, Role::kDeveloper, Role::kAdmin}) {
    EXPECT_EQ(*ParseRole(RoleName(role)), role);
  }
  EXPECT_THAT(std::string(ParseRole("root").status().message()), HasSubstr("`root`"));
  EXPECT_LT(Role::kViewer, Role::kConsumer);
  EXPECT_LT(Role::kConsumer, Role::kDeveloper);
  EXPECT_LT(Role::kDeveloper, Role::kAdmin);
}

}  // namespace
}  // namespace floe::gateway
