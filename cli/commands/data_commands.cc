// floe data import | ls
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/door/blobs.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"
#include "cli/output/transfer_meter.h"

#include "base/files.h"
#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/documents.h"
#include "trainer/alignment/chat_data.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;

struct ImportFlags {
  std::string file;
  std::string name;
  std::string format = "text";
  std::string description;
};

// The documents or examples of the whole file, each of which is checked.
absl::StatusOr<int64_t> Count(std::string_view file, const std::string& format) {
  if (const auto text = floe::tokenizer::TextFormatFromName(format)) {
    FLOE_ASSIGN_OR_RETURN(const auto size, floe::tokenizer::MeasureCorpus(file, *text));
    return size.documents;
  }
  return trainer::CountExamples(file, *trainer::ChatFormatFromName(format));
}

absl::Status Import(Session& session, const ImportFlags& flags) {
  const std::filesystem::path path = flags.file;
  const std::string name = flags.name.empty() ? path.stem().string() : flags.name;
  if (!IsResourceId(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name,
                     "' cannot name a dataset: an id is 1 to 63 of a-z 0-9 - _ . and "
                     "starts with a letter or digit; give --name"));
  }
  FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(session.folder / path));
  const absl::StatusOr<int64_t> documents = Count(file.bytes(), flags.format);
  if (!documents.ok()) {
    return absl::Status(documents.status().code(),
                        absl::StrCat(path.string(), ": ", documents.status().message()));
  }
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string team, door->Team());
  const std::string digest = Sha256::Hex(file.bytes());
  TransferMeter meter(session.err(), session.streams.err_is_terminal && !session.json,
                      absl::StrCat("uploading ", path.filename().string()),
                      static_cast<int64_t>(file.bytes().size()));
  const auto sent = UploadBlob(*door, digest, file.bytes(),
                               [&](int64_t bytes) { meter.Add(bytes, absl::Now()); });
  meter.Finish();
  FLOE_RETURN_IF_ERROR(sent.status());
  pb::CreateDatasetRequest request;
  request.set_parent(team);
  request.set_dataset_id(name);
  request.set_request_id(NewRequestId());
  request.mutable_dataset()->set_digest(digest);
  request.mutable_dataset()->set_format(flags.format);
  request.mutable_dataset()->set_documents(*documents);
  request.mutable_dataset()->set_description(flags.description);
  FLOE_ASSIGN_OR_RETURN(
      const pb::Dataset dataset,
      door->Ask(door->registry(), &pb::RegistryService::Stub::CreateDataset, request));
  if (session.json) {
    session.PrintJson(ToJson(dataset));
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("dataset", dataset.name());
  fields.Add("digest", "sha256:" + dataset.digest());
  fields.Add(
      "size",
      absl::StrCat(HumanBytes(dataset.size_bytes()), " in ", HumanCount(dataset.documents()),
                   flags.format == "text" || flags.format == "jsonl" ? " documents" : " examples",
                   *sent ? "" : "  (these bytes were stored already)"));
  session.out() << fields.Render();
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::ListDatasetsRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door->Team());
  FLOE_ASSIGN_OR_RETURN(
      const std::vector<pb::Dataset> datasets,
      (ListAll<pb::Dataset>(
          *door, door->registry(), &pb::RegistryService::Stub::ListDatasets, request,
          [](auto& page) -> auto& { return *page.mutable_datasets(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(datasets));
    return absl::OkStatus();
  }
  Table table({"DATASET", ">SIZE", ">DOCUMENTS", "FORMAT", "DIGEST", "REGISTERED", "DESCRIPTION"});
  for (const pb::Dataset& dataset : datasets) {
    table.Add({LastId(dataset.name()), HumanBytes(dataset.size_bytes()),
               HumanCount(dataset.documents()), dataset.format(), ShortDigest(dataset.digest()),
               HumanTime(TimeOf(dataset.create_time()), absl::LocalTimeZone()),
               dataset.description()});
  }
  session.out() << (table.empty() ? "No datasets yet; `floe data import FILE` registers one.\n"
                                  : table.Render());
  return absl::OkStatus();
}

}  // namespace

void AddDataCommands(CommandLine& line) {
  CLI::App* group = AddGroup(line.app(), "data", "Text to train on, registered by digest");
  auto& flags = line.Keep<ImportFlags>();
  CLI::App* command = AddCommand(
      *group, "import", "Register a file as a dataset",
      "  floe data import corpus.txt\n"
      "  floe data import dump.jsonl --format jsonl --name news --description 'June 2026'\n"
      "  floe data import pairs.jsonl --format preference\n\n"
      "text: documents separated by blank lines; jsonl: {\"text\": …} a line. To align and to\n"
      "evaluate with: chat {\"messages\": …}, preference {\"prompt\", \"chosen\", \"rejected\"},\n"
      "choices {\"prompt\", \"choices\", \"answer\"} a line. UTF-8 only.\n"
      "The same bytes are sent and stored once.");
  command->add_option("file", flags.file, "The file")->required();
  command->add_option("--name", flags.name, "The dataset's id [the file's name]");
  command->add_option("--format", flags.format, "text, jsonl, chat, preference or choices")
      ->check(CLI::IsMember({"text", "jsonl", "chat", "preference", "choices"}))
      ->capture_default_str();
  command->add_option("--description", flags.description, "Where it came from, for people");
  line.OnRun(command, [&flags](Session& session) { return Import(session, flags); });

  command = AddCommand(*group, "ls", "List the team's datasets", "  floe data ls");
  line.OnRun(command, List);
}

}  // namespace floe::cli
