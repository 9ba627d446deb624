// A text of any length over real gRPC, part by part.
#include <gmock/gmock.h>

#include <random>
#include <string>
#include <thread>

#include "services/tokenizer/stream_encoder.h"
#include "tests/services/tokenizer/tokenizer_service_fixture.h"

namespace floe::services::tokenizer {
namespace {

using testing::HasSubstr;

struct Streamed {
  grpc::Status status;
  std::string digest;
  std::vector<domain::TokenId> ids;
  std::vector<uint64_t> ends;
  int answers = 0;
};

class StreamEncodeTest : public TokenizerServiceTest {
 protected:
  // Sends `parts` after one another while it reads what comes; `first` is the first of them.
  Streamed Stream(pb::StreamEncodeRequest first, const std::vector<std::string>& parts) {
    grpc::ClientContext context;
    context.AddMetadata(runtime::kTeamKey, "nlp");
    const auto stream = stub_->StreamEncode(&context);
    std::jthread writer([&] {
      bool open = stream->Write(first);
      pb::StreamEncodeRequest next;
      for (size_t i = 0; open && i < parts.size(); ++i) {
        next.set_text(parts[i]);
        open = stream->Write(next);
      }
      stream->WritesDone();
    });
    Streamed result;
    for (pb::StreamEncodeResponse answer; stream->Read(&answer); ++result.answers) {
      if (result.answers == 0) result.digest = answer.tokenizer_digest();
      result.ids.insert(result.ids.end(), answer.ids().begin(), answer.ids().end());
      result.ends.insert(result.ends.end(), answer.ends().begin(), answer.ends().end());
    }
    writer.join();
    result.status = stream->Finish();
    return result;
  }
  static pb::StreamEncodeRequest First(bool offsets = false) {
    pb::StreamEncodeRequest first;
    first.set_tokenizer(kName);
    first.set_offsets(offsets);
    return first;
  }
};

TEST_F(StreamEncodeTest, IdsAndEndsAreThoseOfTheWholeWhereverItIsCut) {
  std::mt19937 random(61);
  for (int round = 0; round < 20; ++round) {
    std::string text;
    std::vector<std::string> parts;
    for (int i = 0; i < 60; ++i) {
      // Halves of characters too, and what is no UTF-8.
      const std::string some =
          absl::StrCat(domain::RandomText(random, random() % 30), " the river ",
                       i % 7 == 0 ? domain::RandomBytes(random, 3) : "");
      text += some;
    }
    for (size_t at = 0; at < text.size();) {
      parts.push_back(text.substr(at, 1 + random() % 40));
      at += parts.back().size();
    }
    const Streamed streamed = Stream(First(/*offsets=*/true), parts);
    ASSERT_TRUE(streamed.status.ok()) << streamed.status.error_message();
    EXPECT_EQ(streamed.digest, digest_);
    ASSERT_EQ(streamed.ids, sample_->Encode(text));
    std::vector<uint64_t> ends;
    uint64_t end = 0;
    for (const domain::TokenId id : streamed.ids) {
      ends.push_back(end += sample_->TokenBytes(id)->size());
    }
    EXPECT_EQ(streamed.ends, ends);
    EXPECT_EQ(end, text.size());
    EXPECT_GT(streamed.answers, 10) << "it answers as it goes";
  }
}

TEST_F(StreamEncodeTest, AnAnswerIsSplitAndATextMayBeEmpty) {
  const std::string long_piece(3 * kMaxIdsAnAnswer + 5, '\xFF');  // an id a byte
  const Streamed streamed = Stream(First(), {long_piece});
  ASSERT_TRUE(streamed.status.ok()) << streamed.status.error_message();
  EXPECT_EQ(streamed.ids, sample_->Encode(long_piece));
  EXPECT_TRUE(streamed.ends.empty());
  EXPECT_EQ(streamed.answers, 5) << "the digest, three full ones, and the rest";
  const Streamed empty = Stream(First(), {});
  EXPECT_TRUE(empty.status.ok());
  EXPECT_EQ(empty.digest, digest_);
  EXPECT_TRUE(empty.ids.empty());
}

TEST_F(StreamEncodeTest, NamesWhatIsWrongInAStream) {
  const auto refusal = [&](pb::StreamEncodeRequest first, const std::vector<std::string>& parts) {
    const grpc::Status status = Stream(std::move(first), parts).status;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(refusal({}, {}), HasSubstr("teams/<team>/tokenizers/<tokenizer>"));
  pb::StreamEncodeRequest large = First();
  large.set_text(std::string(kMaxPartBytes + 1, 'x'));
  EXPECT_THAT(refusal(large, {}), HasSubstr("at most 2097152"));
  const std::vector<std::string> endless(17, std::string(kMaxPartBytes, '.'));
  EXPECT_THAT(refusal(First(), endless), HasSubstr("32 MiB without a word"));
  grpc::ClientContext context;
  context.AddMetadata(runtime::kTeamKey, "nlp");
  const auto stream = stub_->StreamEncode(&context);
  ASSERT_TRUE(stream->Write(First()));
  stream->Write(First());
  pb::StreamEncodeResponse answer;
  while (stream->Read(&answer)) continue;
  EXPECT_THAT(stream->Finish().error_message(), HasSubstr("only the first message"));
}

}  // namespace
}  // namespace floe::services::tokenizer
