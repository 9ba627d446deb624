// The whole service by its contract.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/error_reason.h"
#include "base/sha256.h"
#include "tests/services/retrieval/service_fixture.h"

namespace floe::retrieval {
namespace {

using Stub = v1::RetrievalService::Stub;
using testing::HasSubstr;

TEST_F(ServiceTest, FromADocumentToACitationOfItsVeryBytes) {
  const v1::Collection collection = Create("handbook");
  EXPECT_EQ(collection.name(), "teams/nlp/collections/handbook");
  EXPECT_EQ(collection.embedding_digest().size(), 64u);
  EXPECT_EQ(collection.chunk_tokens(), 128);
  EXPECT_EQ(collection.state(), v1::Collection::READY);
  const std::string content = "The dog barks at night.\n\nThe vault opens with the code 4711.";
  const auto stored = Store("handbook", {{"notes", content}, {"other", "Nothing of interest."}});
  ASSERT_EQ(stored.documents_size(), 2);
  EXPECT_EQ(stored.documents(0).name(), "teams/nlp/collections/handbook/documents/notes");
  EXPECT_EQ(stored.documents(0).digest(), Sha256::Hex(content));
  EXPECT_EQ(Store("handbook", {{"notes", content}}).unchanged(), 1);
  EXPECT_EQ(Get("handbook").document_count(), 2);

  const auto found = Find("handbook", "vault code", 1);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->passages_size(), 1);
  const v1::Chunk& chunk = found->passages(0).chunk();
  EXPECT_EQ(chunk.document(), stored.documents(0).name());
  EXPECT_THAT(chunk.text(), HasSubstr("4711"));
  EXPECT_GT(found->passages(0).score(), 0);
  EXPECT_EQ(found->embedding_digest(), collection.embedding_digest());
  v1::ReadDocumentRequest read;
  read.set_name(chunk.document());
  read.set_begin(chunk.begin());
  read.set_end(chunk.end());
  v1::ReadDocumentResponse bytes;
  ASSERT_TRUE(Call(&Stub::ReadDocument, read, bytes).ok());
  EXPECT_EQ(bytes.content(), chunk.text());
  EXPECT_EQ(bytes.digest(), Sha256::Hex(content));

  v1::ListChunksRequest list;
  list.set_parent(chunk.document());
  v1::ListChunksResponse chunks;
  ASSERT_TRUE(Call(&Stub::ListChunks, list, chunks).ok());
  EXPECT_EQ(chunks.chunks_size(), stored.documents(0).chunk_count());
}

TEST_F(ServiceTest, ListsComeInPagesAndDocumentsGo) {
  Create("handbook");
  Store("handbook", {{"a", "One."}, {"b", "Two."}, {"c", "Three."}});
  v1::ListDocumentsRequest list;
  list.set_parent("teams/nlp/collections/handbook");
  list.set_page_size(2);
  v1::ListDocumentsResponse page;
  ASSERT_TRUE(Call(&Stub::ListDocuments, list, page).ok());
  EXPECT_EQ(page.documents_size(), 2);
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(Call(&Stub::ListDocuments, list, page).ok());
  ASSERT_EQ(page.documents_size(), 1);
  EXPECT_EQ(page.next_page_token(), "");
  v1::DeleteDocumentRequest remove;
  remove.set_name(page.documents(0).name());
  remove.set_request_id("r1");
  v1::DeleteDocumentResponse gone;
  ASSERT_TRUE(Call(&Stub::DeleteDocument, remove, gone).ok());
  EXPECT_TRUE(Call(&Stub::DeleteDocument, remove, gone).ok()) << "repeated: the first answer";
  remove.set_request_id("r2");
  const absl::Status again = Call(&Stub::DeleteDocument, remove, gone);
  EXPECT_EQ(again.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(again)->reason, "DOCUMENT_NOT_FOUND");
}

TEST_F(ServiceTest, AnotherTeamFindsNothingAtAll) {
  Create("handbook");
  Store("handbook", {{"a", "Secret words."}});
  const auto found = Find("handbook", "secret", 4, "shop");
  EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(found.status())->reason, "COLLECTION_NOT_FOUND");
  v1::GetDocumentRequest get;
  get.set_name("teams/nlp/collections/handbook/documents/a");
  v1::Document document;
  EXPECT_EQ(Call(&Stub::GetDocument, get, document, "shop").code(), absl::StatusCode::kNotFound);
  v1::ListCollectionsRequest list;
  list.set_parent("teams/nlp");
  v1::ListCollectionsResponse collections;
  EXPECT_EQ(Call(&Stub::ListCollections, list, collections, "shop").code(),
            absl::StatusCode::kNotFound);
  list.set_parent("teams/shop");
  ASSERT_TRUE(Call(&Stub::ListCollections, list, collections, "shop").ok());
  EXPECT_EQ(collections.collections_size(), 0);
}

TEST_F(ServiceTest, AnUpdateNamesWhatItChanges) {
  const v1::Collection before = Create("handbook");
  v1::UpdateCollectionRequest request;
  request.mutable_collection()->set_name(before.name());
  request.mutable_collection()->set_description("For all");
  v1::Collection after;
  EXPECT_THAT(std::string(Call(&Stub::UpdateCollection, request, after).message()),
              HasSubstr("update_mask is empty"));
  request.mutable_update_mask()->add_paths("language");
  EXPECT_THAT(std::string(Call(&Stub::UpdateCollection, request, after).message()),
              HasSubstr("update_mask has \"language\""));
  request.mutable_update_mask()->clear_paths();
  request.mutable_update_mask()->add_paths("description");
  ASSERT_TRUE(Call(&Stub::UpdateCollection, request, after).ok());
  EXPECT_EQ(after.description(), "For all");
  EXPECT_EQ(after.state(), v1::Collection::READY);
  EXPECT_NE(after.etag(), before.etag());
}

TEST_F(ServiceTest, AnotherModelIsIndexedInTheBackground) {
  const v1::Collection before = Create("handbook");
  Store("handbook", {{"a", "Zebras graze."}, {"b", "Rockets fly."}});
  v1::UpdateCollectionRequest request;
  request.mutable_collection()->set_name(before.name());
  request.mutable_collection()->set_embedding_model("othello");
  request.mutable_update_mask()->add_paths("embedding_model");
  v1::Collection now;
  ASSERT_TRUE(Call(&Stub::UpdateCollection, request, now).ok());
  const absl::Time until = absl::Now() + absl::Minutes(1);
  while (now.embedding_digest() == before.embedding_digest() && absl::Now() < until) {
    now = Get("handbook");
  }
  EXPECT_EQ(now.state(), v1::Collection::READY);
  EXPECT_NE(now.embedding_digest(), before.embedding_digest());
  const auto found = Find("handbook", "zebras", 1);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->embedding_digest(), now.embedding_digest());
  EXPECT_THAT(found->passages(0).chunk().text(), HasSubstr("Zebras"));
}

TEST_F(ServiceTest, AWorkerThatIsAwayOrFullIsPassedOver) {
  Create("handbook");
  Store("handbook", {{"a", "Zebras graze."}});
  for (const auto code : {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    workers_[0].SetStatus({code, "not now"});
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(Find("handbook", "zebras").ok());
  }
  workers_[1].SetStatus({grpc::StatusCode::UNAVAILABLE, "not now"});
  const auto none = Find("handbook", "zebras");
  EXPECT_EQ(ReasonOf(none.status())->reason, "WORKERS_UNAVAILABLE");
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("not now"));
  workers_[0].SetStatus(grpc::Status::OK);
  EXPECT_TRUE(Find("handbook", "zebras").ok());
}

TEST_F(ServiceTest, AModelThatTheTeamDoesNotHaveIsNotFound) {
  v1::CreateCollectionRequest request;
  request.set_parent("teams/nlp");
  request.set_collection_id("handbook");
  request.mutable_collection()->set_embedding_model("macbeth");
  v1::Collection answer;
  EXPECT_EQ(Call(&Stub::CreateCollection, request, answer).code(), absl::StatusCode::kNotFound);
  request.mutable_collection()->set_embedding_model("");
  EXPECT_THAT(std::string(Call(&Stub::CreateCollection, request, answer).message()),
              HasSubstr("embedding_model is missing"));
  request.set_parent("teams/shop");
  request.mutable_collection()->set_embedding_model("hamlet");
  EXPECT_EQ(Call(&Stub::CreateCollection, request, answer, "shop").code(),
            absl::StatusCode::kNotFound)
      << "another team's model";
}

}  // namespace
}  // namespace floe::retrieval
