// What the registry's methods read from every request: its identity, and the page of a list.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "base/page.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "registry/caller.h"
#include "registry/names.h"
#include "services/registry/caller_of.h"

namespace floe::registry::internal {

inline constexpr size_t kMaxRequestIdBytes = 200;

// Maps in one order, so that a repeated message has the same bytes.
inline std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

// The key of a change that may be repeated.
template <typename Request>
absl::StatusOr<RequestKey> KeyOf(const Request& request) {
  FLOE_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), kMaxRequestIdBytes));
  return RequestKey{request.request_id(), Request::descriptor()->name(),
                    Sha256::Hex(Bytes(request)), ""};
}

// The team of a list's parent, and the page that is asked for.
struct ListQuery {
  std::string team;
  Page page;
};

template <typename Request>
absl::StatusOr<ListQuery> QueryOf(const runtime::CallContext& call, const Request& request,
                                  std::string_view collection, std::string& list) {
  ListQuery query;
  FLOE_ASSIGN_OR_RETURN(query.team, ParseTeam(request.parent()));
  FLOE_RETURN_IF_ERROR(CheckOwner(CallerOf(call), query.team, request.parent()));
  list = request.parent() + "/" + std::string(collection);
  FLOE_ASSIGN_OR_RETURN(query.page, ParsePage(list, request.page_size(), request.page_token()));
  return query;
}

}  // namespace floe::registry::internal
