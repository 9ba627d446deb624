#include "services/runtime/peers.h"

#include <grpcpp/security/auth_context.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::runtime {
namespace {

constexpr char kCommonName[] = "x509_common_name";
constexpr char kAlternativeName[] = "x509_subject_alternative_name";
constexpr char kAllMethods[] = "*";

bool Contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

}  // namespace

std::string_view ServiceOf(std::string_view certificate_name) {
  const std::string_view label = certificate_name.substr(0, certificate_name.find('.'));
  return label.substr(label.rfind('-') + 1);  // the whole label when there is no dash
}

std::vector<std::string> ServicesOf(const grpc::ServerContextBase& context) {
  std::vector<std::string> services;
  const auto peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return services;
  for (const char* property : {kCommonName, kAlternativeName}) {
    for (const grpc::string_ref& name : peer->FindPropertyValues(property)) {
      const std::string_view service = ServiceOf({name.data(), name.size()});
      if (!Contains(services, service)) services.emplace_back(service);
    }
  }
  // A certificate without names is none of the fleet's services.
  if (services.empty()) services.emplace_back();
  return services;
}

absl::Status CheckPeer(const PeerRules& rules, const std::vector<std::string>& services,
                       std::string_view method) {
  if (rules.empty() || services.empty()) return absl::OkStatus();
  for (const PeerRule& rule : rules) {
    if (!Contains(services, rule.service)) continue;
    if (Contains(rule.methods, kAllMethods) || Contains(rule.methods, method)) {
      return absl::OkStatus();
    }
  }
  return WithReason(
      absl::PermissionDeniedError(absl::StrCat(
          "a peer whose certificate names ", absl::StrJoin(services, ", "), " may not call ",
          AbslView(method), "; certificates carry the name of their service (floe-gateway)")),
      "PEER_NOT_ALLOWED", {{"method", std::string(method)}});
}

}  // namespace floe::runtime
