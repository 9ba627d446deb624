// One call through the door, of any kind: from its first metadata to its status.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/id.h"
#include "gateway/auth/identify.h"
#include "gateway/auth/role_table.h"
#include "services/gateway/door/backends.h"
#include "services/gateway/door/endless_streams.h"
#include "services/gateway/door/lookup_threads.h"
#include "services/runtime/call.h"

namespace floe::gateway {

// Two calls joined: the client's, whose reactor this is, and the one to the backend, whose reactor
// is Inner. Every kind of call is forwarded as a bidirectional stream, which on the wire it is.
//
//   client --Read--> up_ --Write--> backend        one message at a time in each direction: the
//   next client <-Write-- down_ <-Read-- backend        is read once the last was taken
//
// The backend's end is the call's end: its status is given to the client when Inner is done, and
// the object deletes itself when the client's side is done too. So everything here outlives Inner.
class ForwardedCall final : public grpc::ServerGenericBidiReactor {
 public:
  // Borrowed; they outlive every call.
  struct Parts {
    runtime::Calls& calls;
    Identifier& identifier;
    IdGenerator& ids;
    Backends& backends;
    LookupThreads& lookups;
    EndlessStreams& endless;
  };

  ForwardedCall(const Parts& parts, grpc::GenericCallbackServerContext& context);

  // Checks the key, here or on a look-up thread, and goes on from there. Never blocks.
  void Begin();

  void OnSendInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  class Inner final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Inner(ForwardedCall& call) : call_(call) {}
    void OnReadInitialMetadataDone(bool ok) override { call_.OnBackendMetadata(ok); }
    void OnReadDone(bool ok) override { call_.OnBackendRead(ok); }
    void OnWriteDone(bool ok) override { call_.OnBackendTook(ok); }
    void OnWritesDoneDone(bool) override { call_.OnBackendTook(false); }
    void OnDone(const grpc::Status& status) override { call_.OnBackendDone(status); }

   private:
    ForwardedCall& call_;
  };

  // Where the next message from the client is. While it is not kEnded, this half holds Inner open.
  enum class Up { kFromClient, kToBackend, kEnded };

  void Proceed(const absl::StatusOr<Identity>& caller);
  absl::Status Forward(const Identity& caller);
  void Refuse(const absl::Status& status);

  void OnBackendMetadata(bool ok);
  void OnBackendRead(bool ok);
  void OnBackendTook(bool ok);
  void OnBackendDone(const grpc::Status& status);
  void EndDown();
  grpc::Status Outcome(const grpc::Status& status) const;

  std::string ClientMetadata(const char* key) const;

  const Parts& parts_;
  grpc::GenericCallbackServerContext& context_;
  const std::string method_;
  const MethodRule* const rule_;
  runtime::CallIdentity identity_;
  std::optional<runtime::Calls::Open> open_;  // set once the key has been checked

  // Shared with EndlessStreams.
  std::shared_ptr<grpc::ClientContext> inner_context_ = std::make_shared<grpc::ClientContext>();
  Inner inner_{*this};
  Backend* backend_ = nullptr;
  grpc::ByteBuffer up_buffer_, down_buffer_;

  std::mutex mutex_;
  Up up_ = Up::kEnded;   // guarded by mutex_
  bool ending_ = false;  // guarded by mutex_; the backend will send no more
};

}  // namespace floe::gateway
