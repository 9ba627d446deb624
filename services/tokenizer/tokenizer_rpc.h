// floe.tokenizer.v1.TokenizerService: protobuf in, domain call, protobuf out.
#pragma once

#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "services/runtime/call.h"
#include "services/tokenizer/tokenizer_cache.h"

namespace floe::services::tokenizer {

inline constexpr int kMaxBatch = 1024;

// Thread-safe. Borrows `calls` and `tokenizers`. Batches use up to `threads` threads a call.
class TokenizerRpc final : public floe::tokenizer::v1::TokenizerService::Service {
 public:
  TokenizerRpc(runtime::Calls& calls, TokenizerCache& tokenizers, int threads)
      : calls_(calls), tokenizers_(tokenizers), threads_(threads) {}

  grpc::Status Encode(grpc::ServerContext* context,
                      const floe::tokenizer::v1::EncodeRequest* request,
                      floe::tokenizer::v1::EncodeResponse* answer) override;
  grpc::Status StreamEncode(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<floe::tokenizer::v1::StreamEncodeResponse,
                               floe::tokenizer::v1::StreamEncodeRequest>* stream) override;
  grpc::Status Decode(grpc::ServerContext* context,
                      const floe::tokenizer::v1::DecodeRequest* request,
                      floe::tokenizer::v1::DecodeResponse* answer) override;
  grpc::Status Count(grpc::ServerContext* context, const floe::tokenizer::v1::CountRequest* request,
                     floe::tokenizer::v1::CountResponse* answer) override;
  grpc::Status BatchEncode(grpc::ServerContext* context,
                           const floe::tokenizer::v1::BatchEncodeRequest* request,
                           floe::tokenizer::v1::BatchEncodeResponse* answer) override;
  grpc::Status BatchDecode(grpc::ServerContext* context,
                           const floe::tokenizer::v1::BatchDecodeRequest* request,
                           floe::tokenizer::v1::BatchDecodeResponse* answer) override;
  grpc::Status BatchCount(grpc::ServerContext* context,
                          const floe::tokenizer::v1::BatchCountRequest* request,
                          floe::tokenizer::v1::BatchCountResponse* answer) override;

 private:
  runtime::Calls& calls_;
  TokenizerCache& tokenizers_;
  const int threads_;
};

}  // namespace floe::services::tokenizer
