#include "cli/commands/docs_commands.h"

namespace floe::cli {

namespace pb = retrieval::v1;
using Json = nlohmann::ordered_json;

const char* StateName(const pb::Collection& collection) {
  return collection.state() == pb::Collection::REINDEXING ? "re-indexing" : "ready";
}

const char* FormatName(pb::Document::Format format) {
  switch (format) {
    case pb::Document::MARKDOWN:
      return "markdown";
    case pb::Document::JSONL:
      return "jsonl";
    default:
      return "text";
  }
}

Json ToJson(const pb::Collection& collection) {
  return {{"name", collection.name()},
          {"description", collection.description()},
          {"embedding_model", collection.embedding_model()},
          {"embedding_digest", collection.embedding_digest()},
          {"chunk_tokens", collection.chunk_tokens()},
          {"overlap_tokens", collection.overlap_tokens()},
          {"language", collection.language()},
          {"state", StateName(collection)},
          {"error", collection.error()},
          {"documents", collection.document_count()},
          {"chunks", collection.chunk_count()},
          {"pending_documents", collection.pending_document_count()},
          {"etag", collection.etag()}};
}

Json ToJson(const pb::Document& document) {
  return {{"name", document.name()},
          {"title", document.title()},
          {"format", FormatName(document.format())},
          {"source", document.source()},
          {"digest", document.digest()},
          {"size_bytes", document.size_bytes()},
          {"chunks", document.chunk_count()}};
}

Json ToJson(const pb::SearchResponse::Passage& passage) {
  const pb::Chunk& chunk = passage.chunk();
  Json json = {{"document", chunk.document()},
               {"chunk", chunk.index()},
               {"begin", chunk.begin()},
               {"end", chunk.end()},
               {"score", passage.score()},
               {"text_rank", passage.text_rank()},
               {"vector_rank", passage.vector_rank()},
               {"cosine", passage.cosine()},
               {"heading", chunk.heading()}};
  if (!chunk.text().empty()) json["text"] = chunk.text();
  return json;
}

void AddDocsCommands(CommandLine& line) {
  CLI::App* group =
      AddGroup(line.app(), "docs", "Private knowledge: documents that answers may cite");
  AddCollectionCommands(line, *group);
  AddDocumentCommands(line, *group);
  AddEvaluateCommand(line, *group);
}

}  // namespace floe::cli
