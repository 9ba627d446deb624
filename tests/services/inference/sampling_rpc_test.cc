// How tokens are chosen, told and ended, over the wire.
#include <algorithm>
#include <cmath>

#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

TEST_F(WorkerTest, StopsAtAStopIdAndAtAStopText) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "hello", 60);
  request.mutable_sampling()->set_temperature(1);
  request.mutable_sampling()->set_seed(3);
  const Answer whole = Generate(request);
  ASSERT_TRUE(whole.status.ok()) << whole.status.error_message();
  const auto letter = std::find_if(whole.ids.begin(), whole.ids.end(),
                                   [](uint32_t id) { return id >= 'A' && id <= 'z'; });
  ASSERT_NE(letter, whole.ids.end()) << "the seed gives no letter: choose another";
  const std::string stop(1, static_cast<char>(*letter));
  const auto count = static_cast<size_t>(letter - whole.ids.begin()) + 1;

  request.add_stop_ids(*letter);
  const Answer by_id = Generate(request);
  EXPECT_EQ(by_id.finish.reason(), v1::Finish::STOP);
  EXPECT_EQ(by_id.ids, std::vector<uint32_t>(whole.ids.begin(), letter + 1));
  EXPECT_EQ(static_cast<size_t>(by_id.finish.completion_tokens()), count);

  request.clear_stop_ids();
  *request.add_stop() = stop;
  const Answer by_text = Generate(request);
  EXPECT_EQ(by_text.finish.reason(), v1::Finish::STOP);
  EXPECT_EQ(by_text.ids.size(), count);
  EXPECT_EQ(by_text.text, whole.text.substr(0, whole.text.find(stop)));
}

// A function of the ids so far: a stream that moves to another worker keeps its penalties.
TEST_F(WorkerTest, APenalisedAnswerGoesOnWithTheSameTokens) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "hello", 24);
  request.set_ignore_eos(true);
  request.mutable_sampling()->set_temperature(1);
  request.mutable_sampling()->set_seed(5);
  const Answer plain = Generate(request);
  request.mutable_sampling()->set_presence_penalty(2);
  request.mutable_sampling()->set_frequency_penalty(2);
  request.mutable_sampling()->set_repetition_penalty(1.5);
  auto& bias = *request.mutable_sampling()->add_logit_bias();
  bias.set_id('e');
  bias.set_bias(4);
  const Answer whole = Generate(request);
  ASSERT_EQ(whole.ids.size(), 24u) << whole.status.error_message();
  EXPECT_NE(whole.ids, plain.ids);
  for (const int moved : {1, 7, 23}) {
    v1::GenerateRequest rest = request;
    rest.mutable_prompt_ids()->Add(whole.ids.begin(), whole.ids.begin() + moved);
    rest.set_continued_ids(moved);
    rest.set_max_tokens(24 - moved);
    const Answer end = Generate(rest);
    EXPECT_EQ(end.ids, std::vector<uint32_t>(whole.ids.begin() + moved, whole.ids.end())) << moved;
  }
}

TEST_F(WorkerTest, ABiasForcesAndForbids) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "hello", 6);
  auto& forced = *request.mutable_sampling()->add_logit_bias();
  forced.set_id('q');
  forced.set_bias(100);
  EXPECT_EQ(Generate(request).text, "qqqqqq");
  forced.set_bias(-100);
  for (const uint32_t id : Generate(request).ids) EXPECT_NE(id, static_cast<uint32_t>('q'));
  for (const uint32_t id : {uint32_t{257}, uint32_t{4'294'967'295}}) {
    forced.set_id(id);
    const Answer refused = Generate(request);
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refused.status.error_message(), HasSubstr("logit_bias"));
  }
}

TEST_F(WorkerTest, LogProbabilitiesComeWithTheirIdsAndAreTheSameEachTime) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "hello", 12);
  request.set_ignore_eos(true);
  request.mutable_sampling()->set_temperature(0.5);
  request.mutable_sampling()->set_top_k(2);
  request.mutable_sampling()->set_seed(5);
  request.mutable_log_probabilities()->set_top(3);
  const Answer raw = Generate(request);
  ASSERT_EQ(raw.logprobs.size(), 12u);
  for (size_t i = 0; i < raw.ids.size(); ++i) {
    const v1::IdLogProbabilities& one = raw.logprobs[i];
    EXPECT_EQ(one.chosen().id(), raw.ids[i]);
    if (raw.ids[i] < 256) {
      EXPECT_EQ(one.chosen().token(), std::string(1, static_cast<char>(raw.ids[i])));
    }
    ASSERT_EQ(one.top_size(), 3);
    EXPECT_GE(one.top(0).log_probability(), one.chosen().log_probability());
    EXPECT_GE(one.top(0).log_probability(), one.top(1).log_probability());
  }
  request.mutable_log_probabilities()->set_sampled(true);
  const Answer sampled = Generate(request);
  EXPECT_EQ(sampled.ids, raw.ids);
  for (const v1::IdLogProbabilities& one : sampled.logprobs) {
    ASSERT_EQ(one.top_size(), 2);  // top_k left no more
    EXPECT_NEAR(std::exp(one.top(0).log_probability()) + std::exp(one.top(1).log_probability()), 1,
                1e-5);
  }
  request.mutable_log_probabilities()->set_top(21);
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkerTest, LogProbabilitiesOfThePromptAreTheBitsOfAScore) {
  const std::string digest = Publish();
  Start();
  const std::string prompt(40, 'x');
  v1::GenerateRequest request = Ask(digest, prompt + "?", 3);
  request.set_ignore_eos(true);
  request.set_cache_salt("nlp");
  const Answer plain = Generate(request);  // leaves the prompt in the cache
  request.mutable_log_probabilities()->set_top(1);
  request.mutable_log_probabilities()->set_prompt(true);
  const Answer told = Generate(request);
  ASSERT_TRUE(told.status.ok()) << told.status.error_message();
  EXPECT_EQ(told.ids, plain.ids);
  EXPECT_EQ(told.logprobs.size(), 3u);
  EXPECT_EQ(told.finish.cached_tokens(), 0);
  EXPECT_EQ(told.finish.computed_tokens(), 41 + 2);

  v1::ScoreRequest scored;
  scored.set_checkpoint_digest(digest);
  auto& sequence = *scored.add_sequences();
  *sequence.mutable_ids() = request.prompt_ids();
  sequence.set_score_from(1);
  grpc::ClientContext context;
  v1::ScoreResponse scores;
  ASSERT_TRUE(stub().Score(&context, scored, &scores).ok());
  ASSERT_EQ(told.prompt_logprobs.size(), 41u);
  for (int i = 0; i < 41; ++i) {
    const v1::IdLogProbabilities& one = told.prompt_logprobs[static_cast<size_t>(i)];
    EXPECT_EQ(one.chosen().id(), request.prompt_ids(i));
    EXPECT_EQ(one.chosen().token(), i == 40 ? "?" : "x");
    EXPECT_EQ(one.text_bytes(), 1);
    EXPECT_EQ(one.first(), i == 0);
    EXPECT_EQ(one.top_size(), i == 0 ? 0 : 1);
    if (i == 0) continue;
    EXPECT_EQ(one.chosen().log_probability(), scores.scores(0).log_probabilities(i - 1)) << i;
    EXPECT_EQ(one.top(0).id() == one.chosen().id(), scores.scores(0).greedy(i - 1)) << i;
  }

  request.set_max_tokens(0);
  const Answer without = Generate(request);
  ASSERT_TRUE(without.status.ok()) << without.status.error_message();
  EXPECT_EQ(without.prompt_logprobs.size(), 41u);
  EXPECT_TRUE(without.ids.empty());
  EXPECT_EQ(without.finish.reason(), v1::Finish::LENGTH);
  EXPECT_EQ(without.finish.computed_tokens(), 41);
  request.mutable_log_probabilities()->set_prompt(false);
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkerTest, TheLastTokenAloneMayBeTheEmbedding) {
  const std::string digest = Publish();
  Start();
  const auto embed = [&](v1::EmbedRequest::Pooling pooling) {
    v1::EmbedRequest request;
    request.set_checkpoint_digest(digest);
    request.set_pooling(pooling);
    request.add_sequences()->add_ids('h');
    auto& whole = *request.add_sequences();
    for (const char c : std::string("hello")) whole.add_ids(static_cast<uint32_t>(c));
    grpc::ClientContext context;
    v1::EmbedResponse response;
    EXPECT_TRUE(stub().Embed(&context, request, &response).ok());
    return response;
  };
  const v1::EmbedResponse mean = embed(v1::EmbedRequest::MEAN);
  const v1::EmbedResponse last = embed(v1::EmbedRequest::LAST);
  const auto values = [](const v1::EmbedResponse& response, int index) {
    const auto& list = response.embeddings(index).values();
    return std::vector<float>(list.begin(), list.end());
  };
  EXPECT_EQ(values(mean, 0), values(last, 0));  // of one token they are the same
  const int whole = mean.embeddings_size() - 1;
  EXPECT_NE(values(mean, whole), values(last, whole));
  double squares = 0;
  for (const float value : values(last, whole)) squares += value * value;
  EXPECT_NEAR(squares, 1, 1e-5);
}

TEST_F(WorkerTest, AThousandStopTextsAreRefused) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "hello", 2);
  for (int i = 0; i < 16; ++i) request.add_stop(std::string(1024, 'a'));
  EXPECT_TRUE(Generate(request).status.ok());
  const std::string stop = "a";
  for (int i = 16; i < 1000; ++i) request.add_stop(stop);
  EXPECT_THAT(Generate(request).status.error_message(), HasSubstr("stop has 1000 texts"));
  request.clear_stop();
  request.add_stop(std::string(1025, 'a'));
  EXPECT_THAT(Generate(request).status.error_message(), HasSubstr("1025 bytes"));
  ExpectAtRest(digest);
}

}  // namespace
}  // namespace floe::inference
