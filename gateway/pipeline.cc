#include "gateway/pipeline.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "base/status_macros.h"

namespace floe::gateway {
namespace {

// Leaves in reverse order when it goes, by whatever way the coroutine ends.
class Entered {
 public:
  explicit Entered(Request& request) : request_(request) {}
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() {
    for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage) (*stage)->Leave(request_);
  }
  // Room for `count`, so that Add cannot fail between an Enter and its record.
  void Reserve(size_t count) { stages_.reserve(count); }
  void Add(Stage& stage) { stages_.push_back(&stage); }

 private:
  Request& request_;
  std::vector<Stage*> stages_;
};

}  // namespace

Awaitable<absl::Status> Pipeline::EnterAll(Request& request) const {
  Entered entered(request);
  entered.Reserve(stages_.size());
  request.times.reserve(stages_.size());
  for (const auto& stage : stages_) {
    const absl::Duration start = clock_.Monotonic();
    const absl::Status status = co_await stage->Enter(request);
    request.times.push_back({stage->name(), clock_.Monotonic() - start});
    if (!status.ok()) co_return status;
    entered.Add(*stage);
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> Pipeline::Run(Request& request) const {
  // Asio says by exception that a coroutine was cancelled; it goes no further than here.
  try {
    co_return co_await EnterAll(request);
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) {
      co_return absl::CancelledError("the client went away");
    }
    co_return absl::InternalError(absl::StrCat("a stage failed: ", error.what()));
  } catch (const std::exception& error) {
    co_return absl::InternalError(absl::StrCat("a stage failed: ", error.what()));
  }
}

}  // namespace floe::gateway
