// The tokenizer service over real gRPC, one text or many a call.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

#include "tests/services/tokenizer/tokenizer_service_fixture.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::services::tokenizer {
namespace {

using testing::HasSubstr;

TEST_F(TokenizerServiceTest, EncodesCountsAndDecodes) {
  pb::EncodeResponse encoded;
  ASSERT_TRUE(Encode(kName, domain::kProbe, encoded).ok());
  EXPECT_EQ(Ids(encoded.ids()), sample_->Encode(domain::kProbe));
  EXPECT_EQ(encoded.tokenizer_digest(), digest_);

  pb::CountRequest count;
  count.set_tokenizer(kName);
  count.set_text(domain::kProbe);
  pb::CountResponse counted;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Count, count, counted).ok());
  EXPECT_EQ(counted.tokens(), encoded.ids_size());

  pb::DecodeRequest decode;
  decode.set_tokenizer(kName);
  *decode.mutable_ids() = encoded.ids();
  pb::DecodeResponse decoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Decode, decode, decoded).ok());
  EXPECT_EQ(decoded.text(), domain::kProbe);
  EXPECT_EQ(registry_.downloads(), 1);
}

TEST_F(TokenizerServiceTest, SpecialTokensOnlyOnRequest) {
  pb::EncodeResponse plain, special;
  ASSERT_TRUE(Encode(kName, "<|im_end|>", plain).ok());
  ASSERT_TRUE(Encode(kName, "<|im_end|>", special, true).ok());
  EXPECT_GT(plain.ids_size(), 1);
  EXPECT_EQ(Ids(special.ids()), std::vector<domain::TokenId>{402});
}

TEST_F(TokenizerServiceTest, OffsetsSayWhereTokensEnd) {
  pb::EncodeRequest request;
  request.set_tokenizer(kName);
  request.set_text("a<|im_end|> \u00e9");
  request.set_parse_special(true);
  request.set_offsets(true);
  pb::EncodeResponse answer;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Encode, request, answer).ok());
  ASSERT_EQ(answer.ends_size(), answer.ids_size());
  EXPECT_EQ(answer.ends(0), 1u);
  EXPECT_EQ(answer.ends(1), 11u);
  EXPECT_EQ(answer.ends(answer.ends_size() - 1), request.text().size());
}

TEST_F(TokenizerServiceTest, OffsetsCountWhatAddedTokensTakeAlongAndTheirNormalForm) {
  domain::Vocabulary vocabulary = domain::TrainSample(domain::Pattern::kQwen2);
  const auto id = static_cast<domain::TokenId>(vocabulary.tokens.size() + 100);
  vocabulary.normalize_nfc = true;
  vocabulary.added.push_back({.id = id, .content = "<mask>", .lstrip = true});
  vocabulary.added.push_back({.id = id + 1, .content = "e\u0301", .normalized = true});
  registry_.Put("teams/nlp/tokenizers/masked", domain::WriteTokenizerJson(vocabulary));
  pb::EncodeRequest request;
  request.set_tokenizer("teams/nlp/tokenizers/masked");
  request.set_text("a \n<mask>o\u0301e\u0301b");
  request.set_parse_special(true);
  request.set_offsets(true);
  pb::EncodeResponse answer;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Encode, request, answer).ok());
  // In "a \n<mask>\u00f3\u00e9b", where the mask took the white space along.
  ASSERT_EQ(answer.ends_size(), answer.ids_size());
  std::map<uint32_t, uint64_t> ends;
  for (int i = 0; i < answer.ids_size(); ++i) ends[answer.ids(i)] = answer.ends(i);
  EXPECT_EQ(answer.ends(0), 1u);
  EXPECT_EQ(ends.at(id), 9u);
  EXPECT_EQ(ends.at(id + 1), 13u);
  EXPECT_EQ(answer.ends(answer.ends_size() - 1), 14u);
}

TEST_F(TokenizerServiceTest, BatchesAnswerInOrder) {
  pb::BatchEncodeRequest encode;
  encode.set_tokenizer(kName);
  pb::BatchCountRequest count;
  count.set_tokenizer(kName);
  for (int i = 0; i < 100; ++i) {
    encode.add_texts(absl::StrCat("text ", i * i));
    count.add_texts(absl::StrCat("text ", i * i));
  }
  pb::BatchEncodeResponse encoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, encode, encoded).ok());
  pb::BatchCountResponse counted;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchCount, count, counted).ok());
  pb::BatchDecodeRequest decode;
  decode.set_tokenizer(kName);
  *decode.mutable_sequences() = encoded.sequences();
  pb::BatchDecodeResponse decoded;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchDecode, decode, decoded).ok());
  ASSERT_EQ(decoded.texts_size(), 100);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(decoded.texts(i), encode.texts(i));
    EXPECT_EQ(counted.tokens(i), encoded.sequences(i).ids_size());
  }
}

TEST_F(TokenizerServiceTest, ABatchHasALimit) {
  pb::BatchCountRequest count;
  count.set_tokenizer(kName);
  for (int i = 0; i <= kMaxBatch; ++i) count.add_texts(std::string(1, 'x'));
  pb::BatchCountResponse counted;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::BatchCount, count, counted);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("texts has 1025 entries"));
}

TEST_F(TokenizerServiceTest, AnotherTeamsTokenizerIsNotFoundEvenWhenItIsCached) {
  pb::EncodeResponse answer;
  ASSERT_TRUE(Encode(kName, "x", answer).ok());
  const grpc::Status status = Encode(kName, "x", answer, false, "other");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(TokenizerServiceTest, ANewRevisionCountsAtOnceAndTheOldOneKeepsItsDigest) {
  pb::EncodeResponse first, second, pinned;
  ASSERT_TRUE(Encode(kName, "the river", first).ok());
  const std::string newer = registry_.Put(
      kName, domain::WriteTokenizerJson(domain::TrainSample(domain::Pattern::kGpt2, 300)));
  ASSERT_TRUE(Encode(kName, "the river", second).ok());
  EXPECT_EQ(second.tokenizer_digest(), newer);
  ASSERT_TRUE(Encode(std::string(kName) + "@sha256:" + digest_, "the river", pinned).ok());
  EXPECT_EQ(Ids(pinned.ids()), Ids(first.ids()));
}

TEST_F(TokenizerServiceTest, TheLeastRecentlyUsedTokenizerLeavesFirst) {
  const std::string base = "teams/nlp/tokenizers/";
  for (const int size : {300, 310}) {
    registry_.Put(absl::StrCat(base, "t", size),
                  domain::WriteTokenizerJson(domain::TrainSample(domain::Pattern::kQwen2, size)));
  }
  pb::EncodeResponse answer;
  for (const std::string name : {"sample", "t300", "sample", "t310", "sample"}) {
    ASSERT_TRUE(Encode(base + name, "x", answer).ok());
  }
  EXPECT_EQ(registry_.downloads(), 3);  // `sample` stayed
  EXPECT_EQ(cache_->size(), 2u);
  ASSERT_TRUE(Encode(base + "t300", "x", answer).ok());
  EXPECT_EQ(registry_.downloads(), 4);
}

TEST_F(TokenizerServiceTest, DamagedAndForeignFilesAreRefusedAndNotKept) {
  registry_.Damage(digest_);
  pb::EncodeResponse answer;
  EXPECT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::DATA_LOSS);
  registry_.Put(kName, "{\"model\": {\"type\": \"Unigram\"}}");
  const grpc::Status status = Encode(kName, "x", answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("model.type is \"Unigram\""));
  EXPECT_EQ(cache_->size(), 0u);
}

TEST_F(TokenizerServiceTest, NamesWhatIsWrongInARequest) {
  pb::EncodeResponse answer;
  for (const std::string name :
       {"", "sample", "teams/nlp/models/x", "teams/nlp/tokenizers/x@sha256:12"}) {
    const grpc::Status status = Encode(name, "x", answer);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
    EXPECT_THAT(status.error_message(), HasSubstr("teams/<team>/tokenizers/<tokenizer>"));
  }
  pb::DecodeRequest decode;
  decode.set_tokenizer(kName);
  decode.add_ids(1);
  decode.add_ids(4'000'000'000u);
  pb::DecodeResponse decoded;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::Decode, decode, decoded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("ids[1] is 4000000000"));
}

// Latin-1 and random bytes: what goes in comes out, and is counted.
TEST_F(TokenizerServiceTest, AnyBytesEncodeAndComeBack) {
  std::mt19937 random(41);
  for (const std::string& bytes : {std::string("caf\xE9 na\xEFve \xFF"), std::string("\0a\0", 3),
                                   domain::RandomBytes(random, 3000)}) {
    pb::EncodeResponse encoded;
    const grpc::Status status = Encode(kName, bytes, encoded);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Ids(encoded.ids()), sample_->Encode(bytes));

    pb::CountRequest count;
    count.set_tokenizer(kName);
    count.set_text(bytes);
    pb::CountResponse counted;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Count, count, counted).ok());
    EXPECT_EQ(counted.tokens(), encoded.ids_size());

    pb::BatchEncodeRequest batch;
    batch.set_tokenizer(kName);
    batch.add_texts(bytes);
    pb::BatchEncodeResponse batched;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, batch, batched).ok());
    EXPECT_EQ(Ids(batched.sequences(0).ids()), Ids(encoded.ids()));

    pb::DecodeRequest decode;
    decode.set_tokenizer(kName);
    *decode.mutable_ids() = encoded.ids();
    pb::DecodeResponse decoded;
    ASSERT_TRUE(Call(&pb::TokenizerService::Stub::Decode, decode, decoded).ok());
    EXPECT_EQ(decoded.text(), domain::ReplaceInvalidUtf8(bytes));
    EXPECT_EQ(decoded.raw(), decoded.text() == bytes ? "" : bytes);
  }
}

TEST_F(TokenizerServiceTest, AFileThatWasRestoredWorksWithoutARestart) {
  registry_.Damage(digest_);
  pb::EncodeResponse answer;
  ASSERT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::DATA_LOSS);
  registry_.Put(kName, sample_->ToJson());
  EXPECT_TRUE(Encode(kName, "x", answer).ok());
}

TEST_F(TokenizerServiceTest, AnEmptyTextAndAnEmptyBatchAreNoMistake) {
  pb::EncodeResponse encoded;
  ASSERT_TRUE(Encode(kName, "", encoded).ok());
  EXPECT_EQ(encoded.ids_size(), 0);
  pb::BatchEncodeRequest batch;
  batch.set_tokenizer(kName);
  pb::BatchEncodeResponse batched;
  ASSERT_TRUE(Call(&pb::TokenizerService::Stub::BatchEncode, batch, batched).ok());
  EXPECT_EQ(batched.sequences_size(), 0);
}

TEST_F(TokenizerServiceTest, ABadIdInABatchIsNamedByItsPlace) {
  pb::BatchDecodeRequest decode;
  decode.set_tokenizer(kName);
  decode.add_sequences()->add_ids(1);
  decode.add_sequences()->add_ids(1);
  decode.mutable_sequences(1)->add_ids(9'999);
  pb::BatchDecodeResponse decoded;
  const grpc::Status status = Call(&pb::TokenizerService::Stub::BatchDecode, decode, decoded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("sequences[1].ids[1] is 9999"));
}

// Without the registry nobody knows whose a tokenizer is, so that a cached one does not answer.
TEST_F(TokenizerServiceTest, ARegistryThatIsAwayIsUnavailable) {
  pb::EncodeResponse answer;
  ASSERT_TRUE(Encode(kName, "x", answer).ok());
  registry_server_->Shutdown();
  EXPECT_EQ(Encode(kName, "x", answer).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace floe::services::tokenizer
