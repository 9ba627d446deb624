// floe docs create | show | ls | reindex
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands/docs_commands.h"
#include "cli/commands/pages.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = retrieval::v1;
using Json = nlohmann::ordered_json;
using Stub = pb::RetrievalService::Stub;

absl::Status ShowCollection(Session& session, const pb::Collection& collection) {
  if (session.json) {
    session.PrintJson(ToJson(collection));
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("collection", collection.name());
  if (!collection.description().empty()) fields.Add("description", collection.description());
  fields.Add("embeddings", absl::StrCat(collection.embedding_model(),
                                        "  sha256:", ShortDigest(collection.embedding_digest())));
  fields.Add("chunks of",
             absl::StrCat(collection.chunk_tokens(), " tokens, ", collection.overlap_tokens(),
                          " shared; language ", collection.language()));
  fields.Add("holds", absl::StrCat(HumanCount(collection.document_count()), " documents, ",
                                   HumanCount(collection.chunk_count()), " chunks"));
  fields.Add("state",
             collection.state() == pb::Collection::REINDEXING
                 ? absl::StrCat("re-indexing, ", HumanCount(collection.pending_document_count()),
                                " documents to go")
                 : "ready");
  if (!collection.error().empty()) fields.Add("error", collection.error());
  session.out() << fields.Render();
  return absl::OkStatus();
}

struct CollectionFlags {
  std::string collection, model, description, language;
  int chunk_tokens = 0;
  int overlap_tokens = 0;
  bool wait = false;
};

absl::Status Create(Session& session, const CollectionFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CreateCollectionRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  request.set_collection_id(flags.collection);
  request.set_request_id(NewRequestId());
  pb::Collection& collection = *request.mutable_collection();
  collection.set_embedding_model(flags.model);
  collection.set_description(flags.description);
  collection.set_language(flags.language);
  collection.set_chunk_tokens(flags.chunk_tokens);
  collection.set_overlap_tokens(flags.overlap_tokens);
  FLOE_ASSIGN_OR_RETURN(const pb::Collection made,
                        door->Ask(door->retrieval(), &Stub::CreateCollection, request));
  return ShowCollection(session, made);
}

absl::StatusOr<pb::Collection> GetCollection(Session& session, const std::string& id) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetCollectionRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("collections", id));
  return door->Ask(door->retrieval(), &Stub::GetCollection, request);
}

absl::Status Show(Session& session, const CollectionFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const pb::Collection collection, GetCollection(session, flags.collection));
  return ShowCollection(session, collection);
}

absl::Status ReindexCollection(Session& session, const CollectionFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(pb::Collection now, GetCollection(session, flags.collection));
  pb::UpdateCollectionRequest request;
  pb::Collection& collection = *request.mutable_collection();
  collection.set_name(now.name());
  // Named again, a model is resolved again: an alias may have moved.
  collection.set_embedding_model(flags.model.empty() ? now.embedding_model() : flags.model);
  request.mutable_update_mask()->add_paths("embedding_model");
  if (flags.chunk_tokens > 0) {
    collection.set_chunk_tokens(flags.chunk_tokens);
    request.mutable_update_mask()->add_paths("chunk_tokens");
  }
  if (flags.overlap_tokens > 0) {
    collection.set_overlap_tokens(flags.overlap_tokens);
    request.mutable_update_mask()->add_paths("overlap_tokens");
  }
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(now, door->Ask(door->retrieval(), &Stub::UpdateCollection, request));
  while (flags.wait && now.state() == pb::Collection::REINDEXING) {
    if (!now.error().empty()) {
      return absl::UnavailableError(absl::StrCat("re-indexing does not get on: ", now.error()));
    }
    absl::SleepFor(absl::Milliseconds(250));
    FLOE_ASSIGN_OR_RETURN(now, GetCollection(session, flags.collection));
  }
  return ShowCollection(session, now);
}

absl::Status List(Session& session, const CollectionFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  if (flags.collection.empty()) {
    pb::ListCollectionsRequest request;
    FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
    FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Collection> collections,
                          (ListAll<pb::Collection>(
                              *door, door->retrieval(), &Stub::ListCollections, request,
                              [](auto& page) -> auto& { return *page.mutable_collections(); })));
    Table table({"COLLECTION", ">DOCUMENTS", ">CHUNKS", "EMBEDDINGS", "STATE", "DESCRIPTION"});
    Json json = Json::array();
    for (const pb::Collection& one : collections) {
      json.push_back(ToJson(one));
      table.Add({LastId(one.name()), HumanCount(one.document_count()),
                 HumanCount(one.chunk_count()), one.embedding_model(), StateName(one),
                 one.description()});
    }
    if (session.json) {
      session.PrintJson(json);
    } else {
      session.out() << (table.empty() ? "No collections yet; `floe docs create` makes one.\n"
                                      : table.Render());
    }
    return absl::OkStatus();
  }
  pb::ListDocumentsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(),
                        session.ResourceName("collections", flags.collection));
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Document> documents,
                        (ListAll<pb::Document>(
                            *door, door->retrieval(), &Stub::ListDocuments, request,
                            [](auto& page) -> auto& { return *page.mutable_documents(); })));
  Table table({"DOCUMENT", "TITLE", "FORMAT", ">SIZE", ">CHUNKS", "DIGEST", "INGESTED"});
  Json json = Json::array();
  for (const pb::Document& one : documents) {
    json.push_back(ToJson(one));
    table.Add({LastId(one.name()), one.title(), FormatName(one.format()),
               HumanBytes(one.size_bytes()), HumanCount(one.chunk_count()),
               ShortDigest(one.digest()),
               HumanTime(TimeOf(one.update_time()), absl::LocalTimeZone())});
  }
  if (session.json) {
    session.PrintJson(json);
  } else {
    session.out() << (table.empty() ? "No documents yet; `floe docs ingest` brings some.\n"
                                    : table.Render());
  }
  return absl::OkStatus();
}

}  // namespace

void AddCollectionCommands(CommandLine& line, CLI::App& group) {
  auto& create = line.Keep<CollectionFlags>();
  CLI::App* command =
      AddCommand(group, "create", "Make a collection, pinned to what its embedding model means now",
                 "  floe docs create handbook --model lexicon --description 'How we work'");
  command->add_option("collection", create.collection, "Its id")->required();
  command->add_option("--model", create.model, "The model that embeds: lexicon, lexicon@3")
      ->required();
  command->add_option("--description", create.description, "For people");
  command->add_option("--chunk-tokens", create.chunk_tokens, "Most tokens of a chunk [128]");
  command->add_option("--overlap-tokens", create.overlap_tokens,
                      "Tokens shared by neighbours [an eighth]");
  command->add_option("--language", create.language, "For stems: english, simple, … [english]");
  line.OnRun(command, [&create](Session& session) { return Create(session, create); });

  auto& show = line.Keep<CollectionFlags>();
  command = AddCommand(group, "show", "What is known of a collection", "  floe docs show handbook");
  command->add_option("collection", show.collection, "Its id")->required();
  line.OnRun(command, [&show](Session& session) { return Show(session, show); });

  auto& list = line.Keep<CollectionFlags>();
  command = AddCommand(group, "ls", "List collections, or the documents of one",
                       "  floe docs ls\n  floe docs ls handbook");
  command->add_option("collection", list.collection, "Its id");
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  auto& reindex = line.Keep<CollectionFlags>();
  command = AddCommand(group, "reindex",
                       "Make the index anew, by another model or by what its alias means now",
                       "  floe docs reindex handbook --wait\n"
                       "  floe docs reindex handbook --model lexicon@5\n\n"
                       "Searches go on with the old index until the new one is complete.");
  command->add_option("collection", reindex.collection, "Its id")->required();
  command->add_option("--model", reindex.model, "The model that embeds [the same]");
  command->add_option("--chunk-tokens", reindex.chunk_tokens, "Most tokens of a chunk");
  command->add_option("--overlap-tokens", reindex.overlap_tokens, "Tokens shared by neighbours");
  command->add_flag("-w,--wait", reindex.wait, "Until it is complete");
  line.OnRun(command, [&reindex](Session& session) { return ReindexCollection(session, reindex); });
}

}  // namespace floe::cli
