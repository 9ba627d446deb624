#include "services/tokenizer/tokenizer_rpc.h"

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/tokenizer/stream_encoder.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::services::tokenizer {
namespace {

namespace pb = floe::tokenizer::v1;
using floe::tokenizer::ReplaceInvalidUtf8;
using floe::tokenizer::TokenId;
using Ids = google::protobuf::RepeatedField<uint32_t>;
using Texts = google::protobuf::RepeatedPtrField<std::string>;

absl::Status CheckBatch(int size, std::string_view field) {
  if (size <= kMaxBatch) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), " has ", size,
                                                 " entries; send at most ", kMaxBatch, " a call"));
}

// What the ids stand for; `field` names them in an error.
absl::StatusOr<std::string> BytesOf(const floe::tokenizer::Tokenizer& tokenizer, const Ids& ids,
                                    const std::string& field) {
  std::vector<TokenId> tokens;
  tokens.reserve(ids.size());
  for (const uint32_t id : ids) {
    if (id >= static_cast<uint32_t>(tokenizer.vocab_size())) {
      return absl::InvalidArgumentError(absl::StrCat(field, "[", tokens.size(), "] is ", id,
                                                     "; this vocabulary ends at ",
                                                     tokenizer.vocab_size() - 1));
    }
    tokens.push_back(static_cast<TokenId>(id));
  }
  return tokenizer.Decode(tokens);
}

std::vector<std::vector<TokenId>> EncodeAll(const floe::tokenizer::Tokenizer& tokenizer,
                                            const Texts& texts, int threads) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return tokenizer.EncodeBatch(views, threads);
}

// Where the ids of a text without added tokens end.
std::vector<uint64_t> EndsOf(const floe::tokenizer::Tokenizer& tokenizer,
                             const std::vector<TokenId>& ids) {
  std::vector<uint64_t> ends;
  ends.reserve(ids.size());
  uint64_t end = 0;
  for (const TokenId id : ids) ends.push_back(end += tokenizer.TokenBytes(id)->size());
  return ends;
}

}  // namespace

grpc::Status TokenizerRpc::Encode(grpc::ServerContext* context, const pb::EncodeRequest* request,
                                  pb::EncodeResponse* answer) {
  return calls_.Run(*context, "tokenizer.Encode", [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    const std::string_view text = request->text();
    std::vector<uint64_t> ends;
    const std::vector<TokenId> ids =
        request->parse_special()
            ? loaded.tokenizer->EncodeWithSpecials(text, ends)
            : std::move(loaded.tokenizer->EncodeBatch({&text, 1}, threads_).front());
    if (!request->offsets()) {
      ends.clear();
    } else if (!request->parse_special()) {
      ends = EndsOf(*loaded.tokenizer, ids);
    }
    answer->mutable_ids()->Add(ids.begin(), ids.end());
    answer->mutable_ends()->Add(ends.begin(), ends.end());
    answer->set_tokenizer_digest(loaded.digest);
    return absl::OkStatus();
  });
}

grpc::Status TokenizerRpc::StreamEncode(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<pb::StreamEncodeResponse, pb::StreamEncodeRequest>* stream) {
  const auto send = [&](const pb::StreamEncodeResponse& answer) -> absl::Status {
    if (stream->Write(answer)) return absl::OkStatus();
    return absl::CancelledError("the client went away");
  };
  const auto body = [&](runtime::CallContext& call) -> absl::Status {
    pb::StreamEncodeRequest part;
    if (!stream->Read(&part)) return absl::InvalidArgumentError("no message names a tokenizer");
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded, tokenizers_.Get(call, part.tokenizer()));
    StreamEncoder encoder(*loaded.tokenizer, {part.offsets(), threads_});
    pb::StreamEncodeResponse first;
    first.set_tokenizer_digest(loaded.digest);
    FLOE_RETURN_IF_ERROR(send(first));
    FLOE_RETURN_IF_ERROR(encoder.Push(part.text(), send));
    while (stream->Read(&part)) {
      if (!part.tokenizer().empty() || part.offsets()) {
        return absl::InvalidArgumentError(
            "only the first message names a tokenizer and asks for offsets; send text");
      }
      FLOE_RETURN_IF_ERROR(encoder.Push(part.text(), send));
    }
    if (call.cancelled()) return absl::CancelledError("the client went away");
    return encoder.Finish(send);
  };
  return calls_.Run(*context, "tokenizer.StreamEncode", body, runtime::CallKind::kStream);
}

grpc::Status TokenizerRpc::Decode(grpc::ServerContext* context, const pb::DecodeRequest* request,
                                  pb::DecodeResponse* answer) {
  return calls_.Run(*context, "tokenizer.Decode", [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    FLOE_ASSIGN_OR_RETURN(std::string bytes, BytesOf(*loaded.tokenizer, request->ids(), "ids"));
    answer->set_text(ReplaceInvalidUtf8(bytes));
    if (answer->text() != bytes) answer->set_raw(std::move(bytes));
    return absl::OkStatus();
  });
}

grpc::Status TokenizerRpc::Count(grpc::ServerContext* context, const pb::CountRequest* request,
                                 pb::CountResponse* answer) {
  return calls_.Run(*context, "tokenizer.Count", [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    answer->set_tokens(static_cast<int64_t>(loaded.tokenizer->Count(request->text())));
    return absl::OkStatus();
  });
}

grpc::Status TokenizerRpc::BatchEncode(grpc::ServerContext* context,
                                       const pb::BatchEncodeRequest* request,
                                       pb::BatchEncodeResponse* answer) {
  return calls_.Run(*context, "tokenizer.BatchEncode", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(CheckBatch(request->texts_size(), "texts"));
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    for (const auto& ids : EncodeAll(*loaded.tokenizer, request->texts(), threads_)) {
      answer->add_sequences()->mutable_ids()->Add(ids.begin(), ids.end());
    }
    return absl::OkStatus();
  });
}

grpc::Status TokenizerRpc::BatchDecode(grpc::ServerContext* context,
                                       const pb::BatchDecodeRequest* request,
                                       pb::BatchDecodeResponse* answer) {
  return calls_.Run(*context, "tokenizer.BatchDecode", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(CheckBatch(request->sequences_size(), "sequences"));
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    for (int i = 0; i < request->sequences_size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(const std::string bytes,
                            BytesOf(*loaded.tokenizer, request->sequences(i).ids(),
                                    absl::StrCat("sequences[", i, "].ids")));
      answer->add_texts(ReplaceInvalidUtf8(bytes));
    }
    return absl::OkStatus();
  });
}

grpc::Status TokenizerRpc::BatchCount(grpc::ServerContext* context,
                                      const pb::BatchCountRequest* request,
                                      pb::BatchCountResponse* answer) {
  return calls_.Run(*context, "tokenizer.BatchCount", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(CheckBatch(request->texts_size(), "texts"));
    FLOE_ASSIGN_OR_RETURN(const LoadedTokenizer loaded,
                          tokenizers_.Get(call, request->tokenizer()));
    for (const auto& ids : EncodeAll(*loaded.tokenizer, request->texts(), threads_)) {
      answer->add_tokens(static_cast<int64_t>(ids.size()));
    }
    return absl::OkStatus();
  });
}

}  // namespace floe::services::tokenizer
