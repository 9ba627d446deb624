// KeyService (proto/floe/gateway/v1) over the use cases of gateway/auth. Give it to the door, which
// serves it behind its own checks (services/gateway/door/door.h): it trusts the identity in the
// call's metadata.
#pragma once

#include "floe/gateway/v1/gateway.grpc.pb.h"
#include "gateway/auth/keys.h"
#include "services/runtime/call.h"

namespace floe::gateway {

// Thread-safe. Borrows both.
class KeysRpc final : public v1::KeyService::Service {
 public:
  KeysRpc(runtime::Calls& calls, Keys& keys) : calls_(calls), keys_(keys) {}

  grpc::Status CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                         v1::CreateKeyResponse* answer) override;
  grpc::Status GetKey(grpc::ServerContext* context, const v1::GetKeyRequest* request,
                      v1::Key* answer) override;
  grpc::Status ListKeys(grpc::ServerContext* context, const v1::ListKeysRequest* request,
                        v1::ListKeysResponse* answer) override;
  grpc::Status RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                         v1::Key* answer) override;
  grpc::Status GetCaller(grpc::ServerContext* context, const v1::GetCallerRequest* request,
                         v1::Caller* answer) override;

 private:
  runtime::Calls& calls_;
  Keys& keys_;
};

}  // namespace floe::gateway
