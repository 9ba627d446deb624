// What is found, in which order, and where it is said to stand.
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "retrieval/hnsw/hnsw_index.h"
#include "tests/retrieval/postgres/retrieval_fixture.h"

namespace floe::retrieval {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(RetrievalTest, TheRareWordOfAQuestionDecides) {
  Create("words");
  std::vector<NewDocument> documents = {
      Text("aardvark", "A burrowing mammal that eats ants.", "aardvark"),
      Text("zebra", "A striped animal of the plains.", "zebra")};
  for (int i = 0; i < 60; ++i) {
    documents.push_back(Text(absl::StrCat("filler", i),
                             absl::StrCat("What it could mean to mean a meaning is unclear ", i)));
  }
  ASSERT_TRUE(Store("words", documents).ok());
  const auto passages = Find("words", "What does aardvark mean?");
  ASSERT_FALSE(passages.empty());
  EXPECT_EQ(passages[0].document.id, "aardvark");
  EXPECT_EQ(passages[0].text_rank, 1);
  EXPECT_EQ(passages[0].chunk.heading, "aardvark");
}

TEST_F(RetrievalTest, StemsAreFoundAndSoIsMeaningWithoutACommonStem) {
  Create("words");
  ASSERT_TRUE(Store("words", {Text("a", "The horses were running quickly."),
                              Text("b", "Bread is baked in an oven.")})
                  .ok());
  EXPECT_EQ(Find("words", "horse runs")[0].document.id, "a");
  // Of stop words alone no stem is left: the embedding decides.
  const auto passages = Find("words", "is in an");
  ASSERT_THAT(passages, SizeIs(2));
  EXPECT_EQ(passages[0].document.id, "b");
  EXPECT_EQ(passages[0].text_rank, 0);
  EXPECT_EQ(passages[0].vector_rank, 1);
  EXPECT_GT(passages[0].cosine, passages[1].cosine);
}

TEST_F(RetrievalTest, CitationsNameTheVeryBytesInEveryFormat) {
  Create("mixed");
  std::string markdown = "# Grüße\n\n", lines;
  for (int i = 0; i < 12; ++i) {
    absl::StrAppend(&markdown, "## Part ", i, "\n\nThe keyword", i, " appears “here” once.\n\n");
    absl::StrAppend(&lines, "{\"title\": \"t", i, "\", \"text\": \"Line with \\\"jsonword", i,
                    "\\\" \\u00fc inside.\"}\n");
  }
  ASSERT_TRUE(Store("mixed", {Text("plain", "Some words. The plainword stands here, äöü."),
                              {"md", "M", Format::kMarkdown, "", markdown},
                              {"jsonl", "J", Format::kJsonl, "", lines}})
                  .ok());
  for (const std::string& query : {std::string("plainword"), std::string("keyword7"),
                                   std::string("jsonword4"), std::string("keyword11")}) {
    const auto passages = Find("mixed", query, 1);
    ASSERT_THAT(passages, SizeIs(1));
    EXPECT_THAT(passages[0].chunk.text, HasSubstr(query));
    const auto cited =
        documents_->Read(passages[0].document, passages[0].chunk.begin, passages[0].chunk.end);
    ASSERT_TRUE(cited.ok()) << cited.status();
    EXPECT_THAT(cited->bytes, HasSubstr(query));
    if (passages[0].document.id != "jsonl") {
      EXPECT_EQ(cited->bytes, passages[0].chunk.text);
    }
  }
}

TEST_F(RetrievalTest, QueriesOfAnyCharactersAreWords) {
  Create("words", "nlp", 200, 20);
  ASSERT_TRUE(
      Store("words", {Text("a", "It's a back\\slash & an 'apostrophe' | a: colon !")}).ok());
  for (const char* query : {"it's", "back\\slash", "'apostrophe'", "a & b | !c <-> (d:*)", "\"",
                            "%", "\\", "''", "😀", "-- ; DROP TABLE chunks"}) {
    EXPECT_THAT(Find("words", query), SizeIs(1)) << query;
  }
}

TEST_F(RetrievalTest, WhatCannotBeAskedIsNamed) {
  Create("words");
  const auto message = [&](const std::string& query, int top_k) {
    const auto found = search_->Run(As("nlp"), Name("words"), query, top_k);
    EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(found.status().message());
  };
  EXPECT_THAT(message(" \n", 5), HasSubstr("query is empty"));
  EXPECT_THAT(message("x", 51), HasSubstr("top_k is 51"));
  EXPECT_THAT(message("x", -1), HasSubstr("top_k is -1"));
  EXPECT_THAT(message("\xff", 5), HasSubstr("not UTF-8"));
  EXPECT_THAT(message(std::string(kMaxQueryBytes + 1, 'x'), 5), HasSubstr("at most 16384"));
  EXPECT_THAT(Find("words", "anything"), IsEmpty()) << "an empty collection answers with nothing";
}

TEST_F(RetrievalTest, ALongQueryIsEmbeddedByItsBeginning) {
  models_.Add("short", "short", 64);
  const auto created = manage_->Create(As("nlp"), {}, {Name("words"), "", "short", 0, 0, ""});
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->settings.chunk_tokens, 64);
  ASSERT_TRUE(Store("words", {Text("a", "Some words.")}).ok());
  EXPECT_THAT(Find("words", std::string(5000, 'x')), SizeIs(1));
}

TEST_F(RetrievalTest, WorkersThatAreAwayAreSaid) {
  Create("words");
  ASSERT_TRUE(Store("words", {Text("a", "Some words.")}).ok());
  embedder_.SetStatus(absl::UnavailableError("no worker answers"));
  EXPECT_EQ(search_->Run(As("nlp"), Name("words"), "words", 5).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(RetrievalTest, AnotherProcessSeesEveryChange) {
  Create("words");
  Indexes other(
      *tables_, [](size_t d) { return MakeHnswIndex(d); }, Indexes::Options());
  Search elsewhere(*collections_, *tables_, other, models_, embedder_);
  ASSERT_TRUE(Store("words", {Text("a", "Zebras graze.")}).ok());
  ASSERT_THAT(elsewhere.Run(As("nlp"), Name("words"), "zebras", 5)->passages, SizeIs(1));
  ASSERT_TRUE(Store("words", {Text("a", "Rockets fly."), Text("b", "Zebras sleep.")}).ok());
  const auto found = elsewhere.Run(As("nlp"), Name("words"), "zebras", 5);
  ASSERT_THAT(found->passages, SizeIs(2));
  EXPECT_EQ(found->passages[0].document.id, "b");
  EXPECT_EQ(other.vectors(), 2u);
}

TEST_F(RetrievalTest, OnlySoManyIndexesStayInMemory) {
  Indexes few(*tables_, [](size_t d) { return MakeHnswIndex(d); }, {.max_collections = 2});
  for (const char* id : {"a", "b", "c"}) {
    Create(id);
    ASSERT_TRUE(Store(id, {Text("d", "Some words.")}).ok());
    ASSERT_TRUE(few.Warm(*collections_->Get(Name(id))).ok());
  }
  EXPECT_EQ(few.vectors(), 2u);
  // One that left is made again when it is asked for.
  const auto nearest = few.Nearest(*collections_->Get(Name("a")),
                                   FakeEmbedder::VectorOf(FakeDigest("hamlet"), "some words"), 1);
  ASSERT_TRUE(nearest.ok());
  EXPECT_THAT(*nearest, SizeIs(1));
}

}  // namespace
}  // namespace floe::retrieval
