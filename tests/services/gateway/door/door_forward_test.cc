// Every kind of call passes the door unchanged.
#include <grpcpp/generic/generic_stub.h>

#include <thread>

#include "tests/services/gateway/door/door_fixture.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;

constexpr int64_t kChunk = 1 << 20;

TEST_F(DoorTest, UnaryCallsPassWithDeadlineAndMetadata) {
  auto context = With(MakeKey(Role::kViewer));
  registry::v1::GetModelRequest request;
  request.set_name("teams/default/models/hamlet");
  registry::v1::Model model;
  const grpc::Status status =
      StubOf<registry::v1::RegistryService>()->GetModel(context.get(), request, &model);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(model.name(), request.name());
  EXPECT_GE(model.version_count(), 20) << "seconds of the deadline that the service saw";
  EXPECT_LE(model.version_count(), 30);
  const auto& metadata = context->GetServerInitialMetadata();
  ASSERT_NE(metadata.find("x-served-by"), metadata.end());
  EXPECT_EQ(metadata.find("x-served-by")->second, "registry");
}

TEST_F(DoorTest, ErrorsArriveAsTheServiceSaidThem) {
  auto context = With(MakeKey(Role::kViewer));
  registry::v1::GetModelRequest request;
  request.set_name("teams/x/models/missing");
  registry::v1::Model model;
  const grpc::Status status =
      StubOf<registry::v1::RegistryService>()->GetModel(context.get(), request, &model);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "there is no model missing");
  EXPECT_EQ(ReasonFor(status), "MODEL_NOT_FOUND");
  const auto& trailing = context->GetServerTrailingMetadata();
  ASSERT_NE(trailing.find("x-hint"), trailing.end());
  EXPECT_EQ(trailing.find("x-hint")->second, "look elsewhere");
  EXPECT_EQ(trailing.count("grpc-status-details-bin"), 1u);
}

TEST_F(DoorTest, AServerStreamArrivesWholeAndInOrder) {
  auto context = With(MakeKey(Role::kDeveloper));
  registry::v1::DownloadBlobRequest request;
  request.set_digest("abc");
  const auto stream = StubOf<registry::v1::BlobService>()->DownloadBlob(context.get(), request);
  registry::v1::DownloadBlobResponse response;
  std::string all;
  while (stream->Read(&response)) all += response.chunk() + " ";
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(all, "abc0 abc1 abc2 abc3 abc4 abc5 abc6 abc7 abc8 abc9 ");
}

// While the service reads nothing the client is made to wait: the door holds a message and not 50
// MB.
TEST_F(DoorTest, AnUploadIsAsFastAsItsReaderAndArrivesWhole) {
  constexpr int kChunks = 50;
  auto context = With(MakeKey(Role::kDeveloper));
  registry::v1::Blob blob;
  const auto writer = StubOf<registry::v1::BlobService>()->UploadBlob(context.get(), &blob);
  std::atomic<int> written{0};
  Gate all_written;
  std::jthread client([&] {
    registry::v1::UploadBlobRequest request;
    request.mutable_info()->set_digest("abc");
    EXPECT_TRUE(writer->Write(request));
    request.set_chunk(std::string(kChunk, 'x'));
    for (int i = 0; i < kChunks && writer->Write(request); ++i) ++written;
    writer->WritesDone();
    all_written.Open();
  });
  EXPECT_FALSE(all_written.Wait(std::chrono::seconds(1))) << "nobody reads, yet all was taken";
  EXPECT_LT(written, kChunks / 2);
  blobs_.may_read.Open();
  client.join();
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(blob.size_bytes(), kChunks * kChunk);
  EXPECT_EQ(blob.digest(), "abc");
}

TEST_F(DoorTest, AServiceThatAnswersInTheMiddleOfAnUploadIsHeard) {
  blobs_.refuse_upload = true;
  auto context = With(MakeKey(Role::kDeveloper));
  registry::v1::Blob blob;
  const auto writer = StubOf<registry::v1::BlobService>()->UploadBlob(context.get(), &blob);
  registry::v1::UploadBlobRequest request;
  request.mutable_info()->set_digest("abc");
  ASSERT_TRUE(writer->Write(request));
  const grpc::Status status = writer->Finish();  // without a half-close
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "the disk is full");
}

TEST_F(DoorTest, ABidirectionalStreamTakesTurnsAndItsBytesAreUntouched) {
  EchoServer echo(ServiceTls());
  DoorBackends backends = backends_;
  backends.tokenizer = echo.address();
  Restart(backends);
  grpc::GenericStub stub(channel());
  auto context = With(MakeKey(Role::kConsumer));
  grpc::CompletionQueue queue;
  auto stream =
      stub.PrepareCall(context.get(), "/floe.tokenizer.v1.TokenizerService/Encode", &queue);
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(this);
  ASSERT_TRUE(next());
  for (const std::string& text : {std::string("\0\xff not a protobuf", 18), std::string(),
                                  std::string(3 << 20, '\x80'), std::string("last")}) {
    const grpc::Slice slice(text);
    stream->Write(grpc::ByteBuffer(&slice, 1), this);
    ASSERT_TRUE(next());
    grpc::ByteBuffer answer;
    stream->Read(&answer, this);
    ASSERT_TRUE(next());
    grpc::Slice whole;
    ASSERT_TRUE(answer.DumpToSingleSlice(&whole).ok());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(whole.begin()), whole.size()), text);
  }
  stream->WritesDone(this);
  ASSERT_TRUE(next());
  grpc::ByteBuffer none;
  stream->Read(&none, this);
  EXPECT_FALSE(next()) << "the half-close reached the service, which ended";
  grpc::Status status;
  stream->Finish(&status, this);
  ASSERT_TRUE(next());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(DoorTest, JobCallsGoToTheServiceThatTheClientNames) {
  const std::string secret = MakeKey(Role::kViewer);
  for (const char* service : {"tokenizer", "trainer"}) {
    auto context = With(secret);
    context->AddMetadata("x-floe-service", service);
    jobs::v1::Job job;
    const grpc::Status status = StubOf<jobs::v1::JobService>()->GetJob(context.get(), {}, &job);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(job.runner(), service);
  }
  jobs::v1::Job job;
  const grpc::Status nowhere = StubOf<jobs::v1::JobService>()->GetJob(With(secret).get(), {}, &job);
  EXPECT_EQ(nowhere.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(nowhere.error_message(), HasSubstr("x-floe-service"));
}

TEST_F(DoorTest, TwoHundredCallsAtOnceAllArrive) {
  const std::string secret = MakeKey(Role::kViewer);
  constexpr int kCalls = 200;
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    registry::v1::Model model;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<registry::v1::Model>> reader;
  };
  const auto stub = StubOf<registry::v1::RegistryService>();
  grpc::CompletionQueue queue;
  std::vector<Call> calls(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    Call& call = calls[i];
    call.context = With(secret);
    registry::v1::GetModelRequest request;
    request.set_name(std::to_string(i));
    call.reader = stub->AsyncGetModel(call.context.get(), request, &queue);
    call.reader->Finish(&call.model, &call.status, &call);
  }
  for (int i = 0; i < kCalls; ++i) {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(calls[i].status.ok()) << calls[i].status.error_message();
    EXPECT_EQ(calls[i].model.name(), std::to_string(i));
  }
}

}  // namespace
}  // namespace floe::gateway
