// floe docs ingest | rm | search
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/commands/docs_commands.h"
#include "cli/commands/docs_files.h"
#include "cli/output/human.h"
#include "cli/output/table.h"
#include "cli/output/transfer_meter.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = retrieval::v1;
using Json = nlohmann::ordered_json;
using Stub = pb::RetrievalService::Stub;

// Documents have to be embedded before a call answers.
constexpr absl::Duration kIngestTime = absl::Minutes(10);
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
// Of one call: within the service's limits, and small enough that progress can be seen.
constexpr int kBatchDocuments = 128;
constexpr size_t kBatchBytes = 4 << 20;

struct IngestFlags {
  std::string collection, format, id, title, source;
  std::vector<std::string> files;
  bool split = false;
};

absl::StatusOr<std::vector<NewDocument>> DocumentsOf(Session& session, const IngestFlags& flags) {
  std::vector<NewDocument> documents;
  for (const std::string& file : flags.files) {
    const std::filesystem::path path = file;
    FLOE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(session.folder / path, kMaxFileBytes));
    std::vector<NewDocument> found;
    if (flags.split) {
      auto split = SplitJsonLines(bytes, DocumentIdOf(path.stem().string()));
      if (!split.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(file, ": ", split.status().message()));
      }
      found = *std::move(split);
    } else {
      NewDocument& document = found.emplace_back();
      document.set_document_id(flags.id.empty() ? DocumentIdOf(path.filename().string())
                                                : flags.id);
      document.set_title(flags.title);
      document.set_format(flags.format == "text"       ? pb::Document::TEXT
                          : flags.format == "markdown" ? pb::Document::MARKDOWN
                          : flags.format == "jsonl"    ? pb::Document::JSONL
                                                       : FormatOfFile(file));
      document.set_content(std::move(bytes));
    }
    for (NewDocument& document : found) {
      document.set_source(flags.source.empty() ? path.filename().string() : flags.source);
      documents.push_back(std::move(document));
    }
  }
  return documents;
}

absl::Status IngestFiles(Session& session, const IngestFlags& flags) {
  if (!flags.id.empty() && (flags.files.size() != 1 || flags.split)) {
    return absl::InvalidArgumentError("--id names one document: give one file, without --split");
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<NewDocument> documents, DocumentsOf(session, flags));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string parent,
                        session.ResourceName("collections", flags.collection));
  int64_t total = 0, chunks = 0, unchanged = 0;
  for (const NewDocument& document : documents) {
    total += static_cast<int64_t>(document.content().size());
  }
  TransferMeter meter(session.err(), session.streams.err_is_terminal && !session.json, "ingesting",
                      total);
  for (size_t at = 0; at < documents.size();) {
    pb::IngestDocumentsRequest request;
    request.set_parent(parent);
    request.set_request_id(NewRequestId());
    size_t bytes = 0;
    while (
        at < documents.size() && request.documents_size() < kBatchDocuments &&
        (request.documents_size() == 0 || bytes + documents[at].content().size() <= kBatchBytes)) {
      bytes += documents[at].content().size();
      *request.add_documents() = std::move(documents[at++]);
    }
    FLOE_ASSIGN_OR_RETURN(
        const pb::IngestDocumentsResponse answer,
        door->Ask(door->retrieval(), &Stub::IngestDocuments, request, "", kIngestTime));
    for (const pb::Document& document : answer.documents()) chunks += document.chunk_count();
    unchanged += answer.unchanged();
    meter.Add(static_cast<int64_t>(bytes), absl::Now());
  }
  meter.Finish();
  const auto count = static_cast<int64_t>(documents.size());
  if (session.json) {
    session.PrintJson({{"collection", parent},
                       {"documents", count},
                       {"chunks", chunks},
                       {"unchanged", unchanged},
                       {"bytes", total}});
    return absl::OkStatus();
  }
  session.out() << HumanCount(count) << " documents, " << HumanBytes(total) << ", in "
                << HumanCount(chunks) << " chunks; " << HumanCount(unchanged)
                << " were there already\n";
  return absl::OkStatus();
}

struct RemoveFlags {
  std::string collection;
  std::vector<std::string> documents;
  bool all = false;
};

absl::Status Remove(Session& session, const RemoveFlags& flags) {
  if (flags.documents.empty() != flags.all) {
    return absl::InvalidArgumentError(
        "name the documents to delete, or --all for the whole collection");
  }
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string collection,
                        session.ResourceName("collections", flags.collection));
  if (flags.all) {
    pb::DeleteCollectionRequest request;
    request.set_name(collection);
    request.set_request_id(NewRequestId());
    FLOE_RETURN_IF_ERROR(door->Ask(door->retrieval(), &Stub::DeleteCollection, request).status());
    if (!session.json) session.out() << "deleted " << collection << "\n";
    return absl::OkStatus();
  }
  for (const std::string& id : flags.documents) {
    pb::DeleteDocumentRequest request;
    request.set_name(absl::StrCat(collection, "/documents/", id));
    request.set_request_id(NewRequestId());
    FLOE_RETURN_IF_ERROR(door->Ask(door->retrieval(), &Stub::DeleteDocument, request).status());
    if (!session.json) session.out() << "deleted " << request.name() << "\n";
  }
  return absl::OkStatus();
}

struct SearchFlags {
  std::string collection;
  std::vector<std::string> query;
  int top_k = 4;
};

absl::Status SearchCollection(Session& session, const SearchFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::SearchRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_collection(),
                        session.ResourceName("collections", flags.collection));
  request.set_query(absl::StrJoin(flags.query, " "));
  request.set_top_k(flags.top_k);
  FLOE_ASSIGN_OR_RETURN(const pb::SearchResponse answer,
                        door->Ask(door->retrieval(), &Stub::Search, request));
  if (session.json) {
    Json passages = Json::array();
    for (const auto& passage : answer.passages()) passages.push_back(ToJson(passage));
    session.PrintJson({{"embedding_digest", answer.embedding_digest()}, {"passages", passages}});
    return absl::OkStatus();
  }
  if (answer.passages().empty()) session.out() << "Nothing found.\n";
  for (const auto& passage : answer.passages()) {
    const pb::Chunk& chunk = passage.chunk();
    const auto place = [](int rank) { return rank == 0 ? "-" : absl::StrCat(rank); };
    session.out() << absl::StrFormat("%s  bytes %d-%d  score %.4f (words %s, meaning %s)\n",
                                     LastId(chunk.document()), chunk.begin(), chunk.end(),
                                     passage.score(), place(passage.text_rank()),
                                     place(passage.vector_rank()));
    if (!chunk.heading().empty()) session.out() << "  [" << chunk.heading() << "]\n";
    session.out() << "  " << chunk.text() << "\n\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddDocumentCommands(CommandLine& line, CLI::App& group) {
  auto& ingest = line.Keep<IngestFlags>();
  CLI::App* command = AddCommand(
      group, "ingest", "Bring documents in; one whose id is there is replaced",
      "  floe docs ingest handbook guide.md rules.txt\n"
      "  floe docs ingest words entries.jsonl --split\n\n"
      "A file is a document, read as its name says. With --split every line of a JSON Lines file\n"
      "is one: {\"id\": …, \"title\": …, \"text\": …}.");
  command->add_option("collection", ingest.collection, "The collection's id")->required();
  command->add_option("files", ingest.files, "The files")->required();
  command->add_option("--format", ingest.format, "text, markdown or jsonl [by the name]")
      ->check(CLI::IsMember({"text", "markdown", "jsonl"}));
  command->add_option("--id", ingest.id, "The document's id [from the file's name]");
  command->add_option("--title", ingest.title, "Counts more than the text in a search");
  command->add_option("--source", ingest.source, "Where it came from [the file's name]");
  command->add_flag("--split", ingest.split, "Every line of JSON Lines is a document of its own");
  line.OnRun(command, [&ingest](Session& session) { return IngestFiles(session, ingest); });

  auto& remove = line.Keep<RemoveFlags>();
  command = AddCommand(group, "rm", "Delete documents, or a whole collection",
                       "  floe docs rm handbook guide.md\n  floe docs rm handbook --all");
  command->add_option("collection", remove.collection, "The collection's id")->required();
  command->add_option("documents", remove.documents, "The documents' ids");
  command->add_flag("--all", remove.all, "The collection with everything in it");
  line.OnRun(command, [&remove](Session& session) { return Remove(session, remove); });

  auto& search = line.Keep<SearchFlags>();
  command = AddCommand(group, "search", "Find passages, with their place in the document",
                       "  floe docs search handbook 'how many days off are there?' --top-k 3");
  command->add_option("collection", search.collection, "The collection's id")->required();
  command->add_option("query", search.query, "What is looked for")->required();
  command->add_option("--top-k", search.top_k, "At most this many, up to 50")
      ->capture_default_str();
  line.OnRun(command, [&search](Session& session) { return SearchCollection(session, search); });
}

}  // namespace floe::cli
