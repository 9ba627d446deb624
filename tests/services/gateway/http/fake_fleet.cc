// Long as it is many small fakes, one for each neighbour of the gateway, which only this fleet
// wires.
#include "tests/services/gateway/http/fake_fleet.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "base/files.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "services/runtime/call.h"
#include "services/runtime/client.h"
#include "tokenizer/tokenizer.h"

namespace floe::gateway {
namespace {

namespace pb = inference::v1;
constexpr std::chrono::seconds kPatience{20};

std::unique_ptr<grpc::Server> Serve(const std::vector<grpc::Service*>& services, int& port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  return builder.BuildAndStart();
}

std::shared_ptr<grpc::Channel> ChannelTo(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                   grpc::InsecureChannelCredentials(), arguments);
}

std::string MetadataOf(const grpc::ServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

model::Blueprint TinyBlueprint() {
  model::Blueprint blueprint;
  blueprint.vocab_size = 259;
  blueprint.hidden_size = 8;
  blueprint.num_layers = 1;
  blueprint.num_heads = 2;
  blueprint.num_kv_heads = 1;
  blueprint.head_dim = 4;
  blueprint.ffn_hidden = 16;
  blueprint.context = kFakeContext;
  return blueprint;
}

grpc::Status Letters(grpc::ServerContext& context, const pb::GenerateRequest& request,
                     FakeWorker::Writer& writer) {
  std::string text;  // of what another worker began, with the first new letter
  for (int i = -request.continued_ids(); i < request.max_tokens(); ++i) {
    const char letter =
        FakeWorker::LetterAt(request.sampling().seed(), i + request.continued_ids());
    text += letter;
    if (i < 0) continue;
    pb::GenerateResponse piece;
    piece.add_ids(static_cast<uint32_t>(letter));
    piece.set_text(std::exchange(text, ""));
    if (i + 1 == request.max_tokens()) {
      pb::Finish& finish = *piece.mutable_finish();
      finish.set_reason(pb::Finish::LENGTH);
      finish.set_prompt_tokens(request.prompt_ids_size());
      finish.set_completion_tokens(request.max_tokens());
      finish.mutable_total_time()->set_nanos(1'000'000);
      finish.set_service_tier_met(request.service_tier());
    }
    if (!writer.Write(piece)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

}  // namespace

std::string ByteTokenizerJson() {
  tokenizer::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  uint32_t id = 256;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.emplace_back();
    vocabulary.added.push_back({static_cast<tokenizer::TokenId>(id++), special});
  }
  return tokenizer::Tokenizer::Create(std::move(vocabulary)).value()->ToJson();
}

FakeRegistry::FakeRegistry(const std::string& chat_template) {
  model::Manifest manifest;
  manifest.blueprint = TinyBlueprint();
  std::map<std::string, std::string> files = {
      {"config.json", model::ConfigJson(manifest.blueprint)},
      {"model.safetensors", "weights"},
      {"tokenizer.json", ByteTokenizerJson()}};
  if (!chat_template.empty()) {
    files["tokenizer_config.json"] = nlohmann::json{{"chat_template", chat_template}}.dump();
  }
  for (const auto& [name, bytes] : files) {
    manifest.files[name] = {Sha256::Hex(bytes), bytes.size()};
    AddFile(name, bytes);
  }
  SetManifest(manifest.Serialize());
  version_.set_name("teams/nlp/models/hamlet/versions/1");
  version_.mutable_create_time()->set_seconds(1767225600);
}

void FakeRegistry::AddFile(const std::string& name, const std::string& bytes) {
  auto& file = *version_.add_files();
  file.set_name(name);
  file.set_digest(Sha256::Hex(bytes));
  file.set_size_bytes(static_cast<int64_t>(bytes.size()));
  blobs_[file.digest()] = bytes;
}

void FakeRegistry::SetManifest(const std::string& bytes) {
  version_.set_manifest(bytes);
  version_.set_digest(Sha256::Hex(bytes));
}

void FakeRegistry::Publish(const std::filesystem::path& checkpoint) {
  const std::lock_guard lock(mutex_);
  version_.clear_files();
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint)) {
    const std::string bytes = ReadFile(entry.path()).value();
    const std::string name = entry.path().filename();
    name == model::kManifestFile ? SetManifest(bytes) : AddFile(name, bytes);
  }
}

std::string FakeRegistry::digest() const {
  const std::lock_guard lock(mutex_);
  return version_.digest();
}

int FakeRegistry::resolves() const {
  const std::lock_guard lock(mutex_);
  return resolves_;
}

int FakeRegistry::downloads() const {
  const std::lock_guard lock(mutex_);
  return downloads_;
}

std::string FakeRegistry::last_traceparent() const {
  const std::lock_guard lock(mutex_);
  return last_traceparent_;
}

void FakeRegistry::SetAway(grpc::Status away) {
  const std::lock_guard lock(mutex_);
  away_ = std::move(away);
}

void FakeRegistry::ShareWith(const std::string& team) {
  const std::lock_guard lock(mutex_);
  teams_.insert(team);
}

grpc::Status FakeRegistry::ResolveModelVersion(
    grpc::ServerContext* context, const registry::v1::ResolveModelVersionRequest* request,
    registry::v1::ModelVersion* answer) {
  const std::lock_guard lock(mutex_);
  ++resolves_;
  last_traceparent_ = MetadataOf(*context, runtime::kTraceParentKey);
  if (!away_.ok()) return away_;
  const std::string& reference = request->reference();
  const bool known = reference == "hamlet" || reference == "hamlet@production" ||
                     reference == "hamlet@1" || reference == "sha256:" + version_.digest();
  const std::string team = MetadataOf(*context, runtime::kTeamKey);
  if (request->parent() != "teams/" + team || !teams_.contains(team) || !known) {
    return {grpc::StatusCode::NOT_FOUND, "no model " + reference};
  }
  *answer = version_;
  answer->set_name(absl::StrCat("teams/", team, "/models/hamlet/versions/1"));
  return grpc::Status::OK;
}

grpc::Status FakeRegistry::ListModels(grpc::ServerContext* context,
                                      const registry::v1::ListModelsRequest* request,
                                      registry::v1::ListModelsResponse* answer) {
  const std::lock_guard lock(mutex_);
  if (!away_.ok()) return away_;
  if (request->parent() != "teams/nlp") return grpc::Status::OK;
  // Two pages: one with aliases, one with a model that nobody has promoted.
  registry::v1::Model& model = *answer->add_models();
  if (request->page_token().empty()) {
    model.set_name("teams/nlp/models/hamlet");
    for (const char* alias : {"production", "canary"}) {
      model.add_aliases()->set_name(absl::StrCat("teams/nlp/models/hamlet/aliases/", alias));
    }
    answer->set_next_page_token("2");
  } else {
    model.set_name("teams/nlp/models/draft");
  }
  model.set_latest_version(model.name() + "/versions/4");
  model.mutable_create_time()->set_seconds(1767225600);
  return grpc::Status::OK;
}

grpc::Status FakeRegistry::DownloadBlob(
    grpc::ServerContext*, const registry::v1::DownloadBlobRequest* request,
    grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) {
  std::string bytes;
  {
    const std::lock_guard lock(mutex_);
    ++downloads_;
    if (!away_.ok()) return away_;
    const auto found = blobs_.find(request->digest());
    if (found == blobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no blob"};
    bytes = found->second.substr(static_cast<size_t>(request->offset()));
  }
  for (size_t at = 0; at < bytes.size(); at += 1000) {
    registry::v1::DownloadBlobResponse part;
    part.set_chunk(bytes.substr(at, 1000));
    writer->Write(part);
  }
  return grpc::Status::OK;
}

FakeWorker::FakeWorker() : behaviour_(Letters) {}

FakeWorker::Behaviour FakeWorker::Usual() { return Letters; }

char FakeWorker::LetterAt(uint64_t seed, int index) {
  uint64_t state = seed * 2654435761u + static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15ULL;
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ULL;
  return static_cast<char>('a' + (state >> 33) % 26);
}

void FakeWorker::Behave(Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_ = std::move(behaviour);
}

FakeWorker::Behaviour FakeWorker::HangAfter(std::string text) {
  return [text = std::move(text)](grpc::ServerContext& context, const pb::GenerateRequest&,
                                  Writer& writer) {
    if (!text.empty()) {
      pb::GenerateResponse piece;
      piece.add_ids(1);
      piece.set_text(text);
      writer.Write(piece);
    }
    // A synchronous handler has nothing to wait on but time.
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    while (!context.IsCancelled()) never.wait_for(lock, std::chrono::milliseconds(2));
    return grpc::Status::CANCELLED;
  };
}

FakeWorker::Behaviour FakeWorker::Flood(size_t bytes_a_piece) {
  return [bytes_a_piece](grpc::ServerContext&, const pb::GenerateRequest&, Writer& writer) {
    pb::GenerateResponse piece;
    piece.add_ids(1);
    piece.set_text(std::string(bytes_a_piece, 'x'));
    while (writer.Write(piece)) {
    }
    return grpc::Status::CANCELLED;
  };
}

std::vector<pb::GenerateRequest> FakeWorker::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

bool FakeWorker::WaitForCalls(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience,
                           [&] { return requests_.size() >= static_cast<size_t>(count); });
}

bool FakeWorker::WaitForCancelled(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return cancelled_ >= count; });
}

grpc::Status FakeWorker::Generate(grpc::ServerContext* context, const pb::GenerateRequest* request,
                                  Writer* writer) {
  Behaviour behaviour;
  {
    const std::lock_guard lock(mutex_);
    behaviour = behaviour_;
    requests_.push_back(*request);
    if (requests_.size() > 10'000) requests_.clear();  // a benchmark needs none of them
  }
  changed_.notify_all();
  grpc::Status status = behaviour(*context, *request, *writer);
  const std::lock_guard lock(mutex_);
  if (status.error_code() == grpc::StatusCode::CANCELLED) ++cancelled_;
  changed_.notify_all();
  return status;
}

std::vector<pb::EmbedRequest> FakeWorker::embeds() const {
  const std::lock_guard lock(mutex_);
  return embeds_;
}

void FakeWorker::RefuseEmbeds(grpc::Status refusal) {
  const std::lock_guard lock(mutex_);
  embed_refusal_ = std::move(refusal);
}

void FakeWorker::SignEmbeds(std::string receipt) {
  const std::lock_guard lock(mutex_);
  embed_receipt_ = std::move(receipt);
}

grpc::Status FakeWorker::Embed(grpc::ServerContext*, const pb::EmbedRequest* request,
                               pb::EmbedResponse* answer) {
  const std::lock_guard lock(mutex_);
  embeds_.push_back(*request);
  if (!embed_refusal_.ok()) return embed_refusal_;
  answer->set_receipt(embed_receipt_);
  for (const auto& sequence : request->sequences()) {
    auto& values = *answer->add_embeddings()->mutable_values();
    values.Add(static_cast<float>(sequence.ids(0)));
    values.Add(static_cast<float>(sequence.ids_size()));
  }
  return grpc::Status::OK;
}

void FakeRetrieval::SetAway(grpc::Status away) {
  const std::lock_guard lock(mutex_);
  away_ = std::move(away);
}

std::vector<retrieval::v1::SearchRequest> FakeRetrieval::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

grpc::Status FakeRetrieval::Search(grpc::ServerContext* context,
                                   const retrieval::v1::SearchRequest* request,
                                   retrieval::v1::SearchResponse* answer) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(*request);
  if (!away_.ok()) return away_;
  if (MetadataOf(*context, runtime::kTeamKey) != kFakeTeam ||
      request->collection() != "teams/nlp/collections/handbook") {
    return {grpc::StatusCode::NOT_FOUND, "no collection " + request->collection()};
  }
  auto& passage = *answer->add_passages();
  passage.set_score(0.5);
  passage.mutable_chunk()->set_document(request->collection() + "/documents/castles");
  passage.mutable_chunk()->set_begin(100);
  passage.mutable_chunk()->set_end(121);
  passage.mutable_chunk()->set_text(kFakePassage);
  return grpc::Status::OK;
}

Awaitable<absl::StatusOr<Identity>> FakeKeys::Identify(std::string_view secret) {
  {
    const std::lock_guard lock(mutex_);
    const auto failing = failing_.find(secret);
    if (failing != failing_.end()) co_return failing->second;
  }
  if (secret == kConsumerKey) co_return Identity{kFakeTeam, Role::kConsumer, "key-1"};
  if (secret == kViewerKey) co_return Identity{kFakeTeam, Role::kViewer, "key-2"};
  if (secret == kOtherTeamKey) co_return Identity{"other", Role::kAdmin, "key-3"};
  co_return WithReason(absl::UnauthenticatedError("this API key is not known"), "KEY_UNKNOWN");
}

void FakeKeys::Fail(std::string_view secret, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  failing_.insert_or_assign(
      std::string(secret),
      WithReason(absl::UnauthenticatedError("this API key does not work any more"), reason));
}

void FakePolicies::Set(std::string_view text) {
  auto policy = policy::Policy::Parse(text);
  if (!policy.ok()) {
    std::cerr << policy.status() << std::endl;
    std::abort();
  }
  const std::lock_guard lock(mutex_);
  policy_ = *std::move(policy);
}

std::vector<std::string> FakeFleet::audit() const {
  const std::lock_guard lock(log_mutex_);
  return log_;
}

void FakeFleet::KeepAudit(std::string_view line) {
  if (line.find("\"log\":\"audit\"") == std::string_view::npos) return;
  const std::lock_guard lock(log_mutex_);
  if (log_.size() < 10'000) log_.emplace_back(line);  // a benchmark needs none of them
}

void FakeFleet::StartWorkers(const FakeFleetOptions& options) {
  std::vector<Worker> list;
  for (const std::string& address : options.worker_addresses) {
    list.push_back({address, *runtime::MakeChannel(address, {}, /*insecure=*/true)});
  }
  const int fakes = options.worker_addresses.empty() ? options.workers : 0;
  for (int i = 0; i < fakes; ++i) {
    int port = 0;
    workers_.push_back(std::make_unique<FakeWorker>());
    worker_servers_.push_back(Serve({workers_.back().get()}, port));
    worker_ports_.push_back(port);
    channels_.push_back(ChannelTo(port));
    list.push_back({absl::StrCat("worker-", i), channels_.back()});
  }
  worker_pool_ = std::make_unique<WorkerPool>(
      std::move(list), WorkerPool::Parts{clock_, logger_, metrics_, options.pause, options.draw});
}

FakeFleet::FakeFleet(const FakeFleetOptions& options) : registry_(options.chat_template) {
  registry::v1::RegistryService::Service& names = registry_;
  registry::v1::BlobService::Service& blobs = registry_;
  registry_server_ = Serve({&names, &blobs, &retrieval_}, registry_port_);
  if (!options.checkpoint.empty()) registry_.Publish(options.checkpoint);
  StartWorkers(options);
  const auto channel = ChannelTo(registry_port_);
  const auto versions =
      options.registry_address.empty()
          ? channel
          : *runtime::MakeChannel(options.registry_address, {}, /*insecure=*/true);
  registry_client_ = std::make_unique<registry::RegistryClient>(versions);
  tokenizers_ = std::make_unique<Tokenizers>(*registry_client_, 4);
  models_ = std::make_unique<RegistryModels>(versions, clock_, options.models);
  retriever_ = std::make_unique<RetrievalClient>(options.retrieval ? channel : nullptr);
  prompts_ = std::make_unique<TokenizerPrompts>(*tokenizers_, pool_, clock_);
  policies_.Set(options.policy);
  const MoneyPorts& money = options.money;
  ports_ = std::make_unique<Ports>(
      Ports{.keys = keys_,
            .policies = policies_,
            .limits = options.counting == nullptr ? uncounted_ : *options.counting,
            .models = *models_,
            .retriever = *retriever_,
            .prompts = *prompts_,
            .cache = options.cache == nullptr ? no_cache_ : *options.cache,
            .generator = *worker_pool_,
            .embedder = *worker_pool_,
            .prices = money.prices == nullptr ? free_ : *money.prices,
            .budgets = money.budgets == nullptr ? free_ : *money.budgets,
            .steps = money.steps == nullptr ? free_ : *money.steps,
            .usage = money.usage == nullptr ? free_ : *money.usage,
            .draw_seed = [] { return uint64_t{4711}; },
            .clock = clock_,
            .background = pool_.get_executor()});
  gateway_metrics_ = std::make_unique<GatewayMetrics>(metrics_);
  api_ = std::make_unique<Api>(Api::Parts{*ports_, clock_, ids_, logger_, *gateway_metrics_, pool_,
                                          options.limits.request_timeout});
  auto server = HttpServer::Start({"127.0.0.1:0", options.http_threads, options.limits},
                                  {*api_, *gateway_metrics_, logger_});
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    std::abort();
  }
  http_ = *std::move(server);
}

FakeFleet::~FakeFleet() {
  http_.reset();
  for (auto& server : worker_servers_) server->Shutdown(std::chrono::system_clock::now());
  registry_server_->Shutdown(std::chrono::system_clock::now());
  pool_.join();
}

}  // namespace floe::gateway
