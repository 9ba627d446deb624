// floe docs …: the groups of its commands, and resources of retrieval as JSON.
#pragma once

#include "cli/commands/commands.h"
#include <nlohmann/json.hpp>

#include "floe/retrieval/v1/retrieval.pb.h"

namespace floe::cli {

void AddCollectionCommands(CommandLine& line, CLI::App& group);
void AddDocumentCommands(CommandLine& line, CLI::App& group);
void AddEvaluateCommand(CommandLine& line, CLI::App& group);

// `ready` or `re-indexing`; `text`, `markdown` or `jsonl`.
const char* StateName(const retrieval::v1::Collection& collection);
const char* FormatName(retrieval::v1::Document::Format format);

nlohmann::ordered_json ToJson(const retrieval::v1::Collection& collection);
nlohmann::ordered_json ToJson(const retrieval::v1::Document& document);
// With its text where it has one.
nlohmann::ordered_json ToJson(const retrieval::v1::SearchResponse::Passage& passage);

}  // namespace floe::cli
