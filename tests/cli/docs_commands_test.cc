// floe docs, against a door that remembers what it was asked.
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/commands/docs_files.h"
#include "cli/program.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <nlohmann/json.hpp>

#include "floe/gateway/v1/gateway.grpc.pb.h"
#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace floe::cli {
namespace {

namespace pb = retrieval::v1;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class FakeKeys final : public gateway::v1::KeyService::Service {
  grpc::Status GetCaller(grpc::ServerContext*, const gateway::v1::GetCallerRequest*,
                         gateway::v1::Caller* answer) override {
    answer->set_team("teams/default");
    return grpc::Status::OK;
  }
};

// Only the calls that the commands make; used by one call at a time.
class FakeRetrieval final : public pb::RetrievalService::Service {
 public:
  grpc::Status CreateCollection(grpc::ServerContext*, const pb::CreateCollectionRequest* request,
                                pb::Collection* answer) override {
    created = *request;
    *answer = request->collection();
    answer->set_name(absl::StrCat(request->parent(), "/collections/", request->collection_id()));
    answer->set_state(pb::Collection::READY);
    return grpc::Status::OK;
  }
  grpc::Status IngestDocuments(grpc::ServerContext*, const pb::IngestDocumentsRequest* request,
                               pb::IngestDocumentsResponse* answer) override {
    ingested.push_back(*request);
    for (const auto& document : request->documents()) {
      auto& stored = *answer->add_documents();
      stored.set_name(absl::StrCat(request->parent(), "/documents/", document.document_id()));
      stored.set_chunk_count(2);
    }
    return grpc::Status::OK;
  }
  grpc::Status Search(grpc::ServerContext*, const pb::SearchRequest* request,
                      pb::SearchResponse* answer) override {
    searched = *request;
    auto& passage = *answer->add_passages();
    passage.set_score(0.0325);
    passage.set_text_rank(1);
    auto& chunk = *passage.mutable_chunk();
    chunk.set_document(request->collection() + "/documents/guide.md");
    chunk.set_begin(10);
    chunk.set_end(25);
    chunk.set_text("Twenty-five days.");
    return grpc::Status::OK;
  }
  grpc::Status DeleteDocument(grpc::ServerContext*, const pb::DeleteDocumentRequest* request,
                              pb::DeleteDocumentResponse*) override {
    deleted.push_back(request->name());
    return grpc::Status::OK;
  }
  grpc::Status EvaluateCollection(grpc::ServerContext*,
                                  const pb::EvaluateCollectionRequest* request,
                                  pb::EvaluateCollectionResponse* answer) override {
    evaluated.push_back(*request);
    for (int i = 0; i < request->questions_size(); ++i) {
      auto& score = *answer->add_scores();
      score.set_answer_tokens(2);
      score.set_log_likelihood_without(-8);
      score.set_log_likelihood_with(i == 0 ? -9 : -4);
    }
    return grpc::Status::OK;
  }

  pb::CreateCollectionRequest created;
  std::vector<pb::IngestDocumentsRequest> ingested;
  pb::SearchRequest searched;
  std::vector<std::string> deleted;
  std::vector<pb::EvaluateCollectionRequest> evaluated;
};

class DocsTest : public testing::Test {
 protected:
  DocsTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&keys_);
    builder.RegisterService(&retrieval_);
    server_ = builder.BuildAndStart();
    variables_ = {{"FLOE_DOOR", absl::StrCat("127.0.0.1:", port)},
                  {"FLOE_KEY", "floe-good"},
                  {"FLOE_INSECURE", "1"}};
  }
  ~DocsTest() override { server_->Shutdown(); }

  int Run(std::vector<std::string> words) {
    std::istringstream in;
    std::ostringstream out, err;
    const int code = RunProgram(
        words, {.in = in, .out = out, .err = err},
        [this](const char* name) { return variables_[name]; }, dir_.path());
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  FakeKeys keys_;
  FakeRetrieval retrieval_;
  std::unique_ptr<grpc::Server> server_;
  test::TempDir dir_;
  std::map<std::string, std::string> variables_;
  std::string out_, err_;
};

TEST_F(DocsTest, CreateNamesTheModelThatEmbeds) {
  EXPECT_EQ(Run({"docs", "create", "handbook", "--model", "lexicon", "--chunk-tokens", "64"}), 0)
      << err_;
  EXPECT_EQ(retrieval_.created.parent(), "teams/default");
  EXPECT_EQ(retrieval_.created.collection_id(), "handbook");
  EXPECT_EQ(retrieval_.created.collection().embedding_model(), "lexicon");
  EXPECT_EQ(retrieval_.created.collection().chunk_tokens(), 64);
  EXPECT_FALSE(retrieval_.created.request_id().empty());
  EXPECT_THAT(out_, HasSubstr("teams/default/collections/handbook"));
  EXPECT_EQ(Run({"docs", "create", "handbook"}), 2) << "a model is required";
}

TEST_F(DocsTest, FilesAreDocumentsByTheirNames) {
  dir_.Write("My Guide.md", "# Days off\n");
  dir_.Write("rules.txt", "Be kind.");
  EXPECT_EQ(Run({"docs", "ingest", "handbook", "My Guide.md", "rules.txt", "--json"}), 0) << err_;
  ASSERT_EQ(retrieval_.ingested.size(), 1u);
  const auto& documents = retrieval_.ingested[0].documents();
  ASSERT_EQ(documents.size(), 2);
  EXPECT_EQ(documents[0].document_id(), "my-guide.md");
  EXPECT_EQ(documents[0].format(), pb::Document::MARKDOWN);
  EXPECT_EQ(documents[0].source(), "My Guide.md");
  EXPECT_EQ(documents[1].format(), pb::Document::TEXT);
  EXPECT_EQ(documents[1].content(), "Be kind.");
  EXPECT_EQ(json::parse(out_)["chunks"], 4);
  EXPECT_EQ(Run({"docs", "ingest", "handbook", "a.md", "b.md", "--id", "x"}), 2);
  EXPECT_EQ(Run({"docs", "ingest", "handbook", "nothing.md"}), 3);
}

TEST_F(DocsTest, LinesBecomeDocumentsInBatches) {
  std::string lines;
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&lines, R"({"id": "w)", i, R"(", "title": "t", "text": "Word."})", "\n");
  }
  dir_.Write("words.jsonl", lines);
  EXPECT_EQ(Run({"docs", "ingest", "words", "words.jsonl", "--split"}), 0) << err_;
  ASSERT_EQ(retrieval_.ingested.size(), 3u);
  EXPECT_EQ(retrieval_.ingested[0].documents_size(), 128);
  EXPECT_EQ(retrieval_.ingested[2].documents(0).document_id(), "w256");
  EXPECT_NE(retrieval_.ingested[0].request_id(), retrieval_.ingested[1].request_id());
  dir_.Write("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n");
  EXPECT_EQ(Run({"docs", "ingest", "words", "bad.jsonl", "--split"}), 2);
  EXPECT_THAT(err_, HasSubstr("bad.jsonl: line 2"));
}

TEST_F(DocsTest, SearchShowsTheCitation) {
  EXPECT_EQ(Run({"docs", "search", "handbook", "days", "off", "--top-k", "2"}), 0) << err_;
  EXPECT_EQ(retrieval_.searched.query(), "days off");
  EXPECT_EQ(retrieval_.searched.top_k(), 2);
  EXPECT_THAT(out_, HasSubstr("guide.md  bytes 10-25  score 0.0325 (words 1, meaning -)"));
  EXPECT_EQ(Run({"docs", "search", "handbook", "days", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["passages"][0]["end"], 25);
}

TEST_F(DocsTest, RemovingAWholeCollectionHasToBeSaid) {
  EXPECT_EQ(Run({"docs", "rm", "handbook", "a", "b"}), 0) << err_;
  EXPECT_THAT(retrieval_.deleted, ElementsAre("teams/default/collections/handbook/documents/a",
                                              "teams/default/collections/handbook/documents/b"));
  EXPECT_EQ(Run({"docs", "rm", "handbook"}), 2);
  EXPECT_THAT(err_, HasSubstr("--all"));
}

TEST_F(DocsTest, EvaluateAddsUpWhatThePassagesAreWorth) {
  std::string lines;
  for (int i = 0; i < 25; ++i) absl::StrAppend(&lines, R"({"question": "Q", "answer": "A"})", "\n");
  dir_.Write("q.jsonl", lines);
  EXPECT_EQ(Run({"docs", "evaluate", "words", "q.jsonl", "--model", "lexicon", "--limit", "22",
                 "--prompt", "text", "--json"}),
            0)
      << err_;
  ASSERT_EQ(retrieval_.evaluated.size(), 2u);
  EXPECT_EQ(retrieval_.evaluated[0].questions_size(), 20);
  EXPECT_EQ(retrieval_.evaluated[0].prompt(), pb::EvaluateCollectionRequest::TEXT);
  const json result = json::parse(out_);
  EXPECT_EQ(result["questions"], 22);
  EXPECT_EQ(result["better_with"], 20);
  EXPECT_EQ(result["log_likelihood_without"], -8.0 * 22);
  EXPECT_EQ(result["log_likelihood_with"], -9.0 * 2 - 4.0 * 20);
  EXPECT_EQ(result["scores"].size(), 22u);
}

TEST(DocsFiles, IdsAreMadeOfNames) {
  EXPECT_EQ(DocumentIdOf("My Notes (2).md"), "my-notes-2-.md");
  EXPECT_EQ(DocumentIdOf("__x"), "x");
  EXPECT_EQ(DocumentIdOf("ÄÖ"), "document");
  EXPECT_EQ(DocumentIdOf(std::string(100, 'a')).size(), 63u);
}

TEST(DocsFiles, QuestionsNeedBothTheirParts) {
  const auto questions = ReadQuestions("{\"question\": \"a\", \"answer\": \"b\"}\n\n");
  ASSERT_TRUE(questions.ok());
  EXPECT_EQ((*questions)[0].answer, "b");
  EXPECT_THAT(std::string(ReadQuestions("{\"question\": \"a\"}").status().message()),
              HasSubstr("line 1 is not a JSON object with a string \"answer\""));
  EXPECT_FALSE(ReadQuestions("\n").ok());
}

}  // namespace
}  // namespace floe::cli
