// Retrieval over a real Postgres and the HNSW index, with models that a test can foretell.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/postgres/pool.h"
#include "retrieval/indexes.h"
#include "retrieval/ingest.h"
#include "retrieval/manage_collections.h"
#include "retrieval/postgres/collections.h"
#include "retrieval/postgres/documents.h"
#include "retrieval/postgres/reindex_tables.h"
#include "retrieval/postgres/search_tables.h"
#include "retrieval/reindex.h"
#include "retrieval/search.h"
#include "tests/retrieval/fakes.h"
#include "tests/support/fake_clock.h"

namespace floe::retrieval {

class RetrievalTest : public testing::Test {
 protected:
  // Models `hamlet` and `othello`, of different digests.
  RetrievalTest();

  static Caller As(const std::string& team);
  static CollectionName Name(const std::string& collection, const std::string& team = "nlp") {
    return {team, collection};
  }
  static NewDocument Text(const std::string& id, const std::string& content,
                          const std::string& title = "") {
    return {id, title, Format::kText, "", content};
  }

  Collection Create(const std::string& collection, const std::string& team = "nlp",
                    int chunk_tokens = 40, int overlap_tokens = 8);
  absl::StatusOr<Ingested> Store(const std::string& collection, std::vector<NewDocument> documents,
                                 const std::string& team = "nlp", const RequestKey& request = {});
  std::vector<Passage> Find(const std::string& collection, const std::string& query, int top_k = 5,
                            const std::string& team = "nlp");
  absl::StatusOr<Collection> UseModel(const std::string& collection, const std::string& model);

  // A number that a query of one row and column gives, past every repository.
  int64_t Count(const std::string& sql);
  // Rows that no living document or collection holds.
  int64_t Orphans();
  // What the vector index finds for a text, by chunk id.
  std::vector<Neighbour> Nearest(const std::string& collection, const std::string& text);

  test::FakeClock clock_;
  FakeModels models_;
  FakeEmbedder embedder_;
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<PostgresCollections> collections_;
  std::unique_ptr<PostgresDocuments> documents_;
  std::unique_ptr<PostgresSearchTables> tables_;
  std::unique_ptr<PostgresReindexTables> reindex_tables_;
  std::unique_ptr<Indexes> indexes_;
  std::unique_ptr<ManageCollections> manage_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Search> search_;
  std::unique_ptr<Reindex> reindex_;
};

inline absl::Status GoOn() { return absl::OkStatus(); }

}  // namespace floe::retrieval
