#include "tests/retrieval/postgres/retrieval_fixture.h"

#include <pqxx/pqxx>

#include "base/postgres/migrations.h"
#include "retrieval/hnsw/hnsw_index.h"
#include "retrieval/postgres/migrations_sql.h"
#include "tests/support/postgres.h"

namespace floe::retrieval {

RetrievalTest::RetrievalTest() {
  auto pool = postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  EXPECT_TRUE(pool.ok()) << pool.status();
  pool_ = *std::move(pool);
  const absl::Status migrated = postgres::Migrate(*pool_, "retrieval", Migrations());
  EXPECT_TRUE(migrated.ok()) << migrated;
  models_.Add("hamlet", "hamlet");
  models_.Add("othello", "othello");
  collections_ = std::make_unique<PostgresCollections>(*pool_);
  documents_ = std::make_unique<PostgresDocuments>(*pool_);
  tables_ = std::make_unique<PostgresSearchTables>(*pool_);
  reindex_tables_ = std::make_unique<PostgresReindexTables>(*pool_);
  indexes_ = std::make_unique<Indexes>(
      *tables_, [](size_t dimensions) { return MakeHnswIndex(dimensions); }, Indexes::Options());
  manage_ = std::make_unique<ManageCollections>(*collections_, models_, clock_);
  ingest_ = std::make_unique<Ingest>(*collections_, *documents_, models_, embedder_, clock_);
  search_ = std::make_unique<Search>(*collections_, *tables_, *indexes_, models_, embedder_);
  reindex_ = std::make_unique<Reindex>(*collections_, *reindex_tables_, models_, embedder_);
}

Caller RetrievalTest::As(const std::string& team) {
  Caller caller;
  caller.team = team;
  caller.actor = "key-1";
  return caller;
}

Collection RetrievalTest::Create(const std::string& collection, const std::string& team,
                                 int chunk_tokens, int overlap_tokens) {
  const auto created = manage_->Create(
      As(team), {}, {{team, collection}, "", "hamlet", chunk_tokens, overlap_tokens, ""});
  EXPECT_TRUE(created.ok()) << created.status();
  return created.value_or(Collection());
}

absl::StatusOr<Ingested> RetrievalTest::Store(const std::string& collection,
                                              std::vector<NewDocument> documents,
                                              const std::string& team, const RequestKey& request) {
  return ingest_->Run(As(team), request, Name(collection, team), documents, GoOn);
}

std::vector<Passage> RetrievalTest::Find(const std::string& collection, const std::string& query,
                                         int top_k, const std::string& team) {
  auto found = search_->Run(As(team), Name(collection, team), query, top_k);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? std::move(found->passages) : std::vector<Passage>();
}

absl::StatusOr<Collection> RetrievalTest::UseModel(const std::string& collection,
                                                   const std::string& model) {
  CollectionPatch patch;
  patch.embedding_model = model;
  return manage_->Update(As("nlp"), {}, Name(collection), patch);
}

int64_t RetrievalTest::Count(const std::string& sql) {
  const auto count = pool_->Transaction([&](pqxx::transaction_base& tx) -> absl::StatusOr<int64_t> {
    return tx.exec1(sql)[0].as<int64_t>();
  });
  EXPECT_TRUE(count.ok()) << count.status();
  return count.value_or(-1);
}

int64_t RetrievalTest::Orphans() {
  return Count(
      "SELECT (SELECT count(*) FROM retrieval.chunks k WHERE NOT EXISTS (SELECT 1 "
      "FROM retrieval.documents d WHERE d.id = k.document_id AND d.team = k.team "
      "AND d.collection_id = k.collection_id)) + (SELECT count(*) FROM retrieval.documents d "
      "WHERE NOT EXISTS (SELECT 1 FROM retrieval.collections c WHERE c.id = d.collection_id "
      "AND c.team = d.team))");
}

std::vector<Neighbour> RetrievalTest::Nearest(const std::string& collection,
                                              const std::string& text) {
  const auto now = collections_->Get(Name(collection));
  EXPECT_TRUE(now.ok()) << now.status();
  const auto nearest =
      indexes_->Nearest(*now, FakeEmbedder::VectorOf(now->settings.embedding_digest, text), 100);
  EXPECT_TRUE(nearest.ok()) << nearest.status();
  return nearest.value_or(std::vector<Neighbour>());
}

}  // namespace floe::retrieval
