// All pages of a list.
#pragma once

#include <utility>
#include <vector>

#include "cli/door/door.h"

#include "base/status_macros.h"

namespace floe::cli {

// `take` gives the page's resources from the answer: `[](auto& page) -> auto& { return
// *page.mutable_models(); }`.
template <typename Resource, typename Stub, typename Request, typename Answer, typename Take>
absl::StatusOr<std::vector<Resource>> ListAll(Door& door, Stub& stub,
                                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                           const Request&, Answer*),
                                              Request request, Take take,
                                              const std::string& service = {}) {
  std::vector<Resource> all;
  request.set_page_size(200);
  do {
    FLOE_ASSIGN_OR_RETURN(Answer page, door.Ask(stub, method, request, service));
    for (Resource& resource : take(page)) all.push_back(std::move(resource));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace floe::cli
