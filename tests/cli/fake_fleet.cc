// Long as it is many small fakes, one for each service that the command line calls, over one state.
#include "tests/cli/fake_fleet.h"

#include <grpcpp/server_builder.h>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"

namespace floe::test {

namespace reg = registry::v1;
namespace job = jobs::v1;
namespace gw = gateway::v1;

struct FakeFleet::State {
  std::mutex mutex;
  std::map<std::string, std::string> blobs;
  std::map<std::string, reg::Dataset> datasets;
  std::map<std::string, reg::ModelVersion> versions;             // by model id; one version each
  std::map<std::string, std::map<std::string, double>> metrics;  // of versions by name
  std::map<std::string, reg::Tokenizer> tokenizers;              // vocabularies by name
  std::map<std::string, reg::Alias> aliases;
  std::map<std::string, gw::Key> keys;
  std::map<std::string, job::Job> jobs;
  std::map<std::string, std::vector<job::JobMetrics>> measured;
  std::map<std::string, std::vector<job::JobEvent>> events;
  std::set<int64_t> breaks;
  Calls calls;

  static std::string Metadata(const grpc::ServerContext& context, const char* key) {
    const auto found = context.client_metadata().find(key);
    if (found == context.client_metadata().end()) return {};
    return std::string(found->second.data(), found->second.size());
  }
  static grpc::Status Check(const grpc::ServerContext& context) {
    if (Metadata(context, "authorization") == absl::StrCat("Bearer ", kFakeKey)) {
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::UNAUTHENTICATED, "the key is not known"};
  }
};

class FakeFleet::Registry final : public reg::RegistryService::Service {
 public:
  explicit Registry(State& state) : state_(state) {}

  grpc::Status CreateDataset(grpc::ServerContext* context, const reg::CreateDatasetRequest* request,
                             reg::Dataset* answer) override {
    if (auto status = State::Check(*context); !status.ok()) return status;
    std::lock_guard lock(state_.mutex);
    *answer = request->dataset();
    answer->set_name(absl::StrCat(request->parent(), "/datasets/", request->dataset_id()));
    answer->set_size_bytes(static_cast<int64_t>(state_.blobs[answer->digest()].size()));
    state_.datasets[answer->name()] = *answer;
    state_.calls.created_datasets.push_back(*answer);
    return grpc::Status::OK;
  }

  // One dataset a page, so that paging is always tried.
  grpc::Status ListDatasets(grpc::ServerContext* context, const reg::ListDatasetsRequest* request,
                            reg::ListDatasetsResponse* answer) override {
    if (auto status = State::Check(*context); !status.ok()) return status;
    std::lock_guard lock(state_.mutex);
    auto next = request->page_token().empty() ? state_.datasets.begin()
                                              : state_.datasets.lower_bound(request->page_token());
    if (next == state_.datasets.end()) return grpc::Status::OK;
    *answer->add_datasets() = next->second;
    if (++next != state_.datasets.end()) answer->set_next_page_token(next->first);
    return grpc::Status::OK;
  }

  grpc::Status ResolveModelVersion(grpc::ServerContext* context,
                                   const reg::ResolveModelVersionRequest* request,
                                   reg::ModelVersion* answer) override {
    if (auto status = State::Check(*context); !status.ok()) return status;
    std::lock_guard lock(state_.mutex);
    const std::string model = request->reference().substr(0, request->reference().find('@'));
    const auto found = state_.versions.find(model);
    if (found == state_.versions.end()) {
      return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no model '", model, "'")};
    }
    *answer = found->second;
    return grpc::Status::OK;
  }

  grpc::Status GetModel(grpc::ServerContext*, const reg::GetModelRequest* request,
                        reg::Model*) override {
    return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no model '", request->name(), "'")};
  }

  // The gates refuse version 9.
  grpc::Status SetAlias(grpc::ServerContext*, const reg::SetAliasRequest* request,
                        reg::Alias* answer) override {
    std::lock_guard lock(state_.mutex);
    state_.calls.set_aliases.push_back(*request);
    const bool refused = request->version().ends_with("/versions/9");
    if (refused && !request->override()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "its gates refuse: answer_loss is 4"};
    }
    *answer = state_.aliases[request->name()];
    answer->set_name(request->name());
    reg::Alias::Move move;
    move.set_from_version(answer->version());
    move.set_to_version(request->version());
    move.set_reason(request->reason());
    if (refused) move.add_failures("answer_loss is 4");
    std::vector<reg::Alias::Move> history = {move};
    history.insert(history.end(), answer->history().begin(), answer->history().end());
    *answer->mutable_history() = {history.begin(), history.end()};
    answer->set_version(request->version());
    answer->set_etag(absl::StrCat("move-", history.size()));
    state_.aliases[request->name()] = *answer;
    return grpc::Status::OK;
  }

  grpc::Status GetAlias(grpc::ServerContext*, const reg::GetAliasRequest* request,
                        reg::Alias* answer) override {
    std::lock_guard lock(state_.mutex);
    const auto found = state_.aliases.find(request->name());
    if (found == state_.aliases.end()) return {grpc::StatusCode::NOT_FOUND, "no such alias"};
    *answer = found->second;
    return grpc::Status::OK;
  }

  grpc::Status GetModelVersion(grpc::ServerContext*, const reg::GetModelVersionRequest* request,
                               reg::ModelVersion* answer) override {
    answer->set_name(request->name());
    std::lock_guard lock(state_.mutex);
    for (const auto& [name, value] : state_.metrics[request->name()]) {
      (*answer->mutable_metrics())[name] = value;
    }
    return grpc::Status::OK;
  }

  grpc::Status GetTokenizer(grpc::ServerContext*, const reg::GetTokenizerRequest* request,
                            reg::Tokenizer* answer) override {
    std::lock_guard lock(state_.mutex);
    const auto found = state_.tokenizers.find(request->name());
    if (found == state_.tokenizers.end()) return {grpc::StatusCode::NOT_FOUND, "no such tokenizer"};
    *answer = found->second;
    return grpc::Status::OK;
  }

  grpc::Status SetGatePolicy(grpc::ServerContext*, const reg::SetGatePolicyRequest* request,
                             reg::GatePolicy* answer) override {
    answer->set_name(request->name());
    answer->set_policy(request->policy());
    if (request->policy().empty()) return grpc::Status::OK;
    auto& gate = *answer->add_gates();
    gate.set_alias("production");
    gate.set_metric("answer_loss");
    gate.set_dataset_digest(std::string(64, 'd'));
    gate.set_at_most(4);
    return grpc::Status::OK;
  }

  grpc::Status ListEvaluations(grpc::ServerContext*, const reg::ListEvaluationsRequest* request,
                               reg::ListEvaluationsResponse* answer) override {
    auto& one = *answer->add_evaluations();
    one.set_name(absl::StrCat(request->parent(), "/evaluations/ev-1"));
    one.set_model_version(absl::StrCat(request->parent(), "/models/lexicon/versions/3"));
    one.set_model_digest(request->model_digest());
    one.set_dataset_digest(std::string(64, 'd'));
    one.set_task("chat");
    (*one.mutable_metrics())["answer_loss"] = 2.5;
    return grpc::Status::OK;
  }

  grpc::Status GetEvaluation(grpc::ServerContext*, const reg::GetEvaluationRequest* request,
                             reg::Evaluation* answer) override {
    if (!request->name().ends_with("/ev-1")) return {grpc::StatusCode::NOT_FOUND, "none"};
    answer->set_name(request->name());
    answer->set_task("preference");
    answer->set_model_digest(std::string(64, 'e'));
    (*answer->mutable_metrics())["preference_accuracy"] = 0.75;
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

class FakeFleet::Blobs final : public reg::BlobService::Service {
 public:
  explicit Blobs(State& state) : state_(state) {}

  grpc::Status UploadBlob(grpc::ServerContext*, grpc::ServerReader<reg::UploadBlobRequest>* reader,
                          reg::Blob* answer) override {
    reg::UploadBlobRequest part;
    std::string digest, bytes;
    int64_t largest = 0;
    while (reader->Read(&part)) {
      if (part.has_info()) digest = part.info().digest();
      bytes += part.chunk();
      largest = std::max(largest, static_cast<int64_t>(part.chunk().size()));
    }
    if (Sha256::Hex(bytes) != digest) return {grpc::StatusCode::DATA_LOSS, "digest"};
    std::lock_guard lock(state_.mutex);
    state_.blobs[digest] = bytes;
    state_.calls.largest_chunk = std::max(state_.calls.largest_chunk, largest);
    ++state_.calls.uploads;
    answer->set_digest(digest);
    return grpc::Status::OK;
  }

  grpc::Status GetBlob(grpc::ServerContext*, const reg::GetBlobRequest* request,
                       reg::Blob*) override {
    std::lock_guard lock(state_.mutex);
    if (state_.blobs.contains(request->digest())) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "no such blob"};
  }

  grpc::Status VerifyBlob(grpc::ServerContext*, const reg::VerifyBlobRequest* request,
                          reg::Blob*) override {
    std::lock_guard lock(state_.mutex);
    const auto found = state_.blobs.find(request->digest());
    if (found == state_.blobs.end()) return {grpc::StatusCode::NOT_FOUND, "no such blob"};
    if (Sha256::Hex(found->second) == request->digest()) return grpc::Status::OK;
    return {grpc::StatusCode::DATA_LOSS, "the bytes have another digest"};
  }

  grpc::Status DownloadBlob(grpc::ServerContext*, const reg::DownloadBlobRequest* request,
                            grpc::ServerWriter<reg::DownloadBlobResponse>* writer) override {
    std::string bytes;
    {
      std::lock_guard lock(state_.mutex);
      bytes = state_.blobs[request->digest()];
    }
    for (size_t at = 0; at < bytes.size(); at += 7) {
      reg::DownloadBlobResponse part;
      part.set_chunk(bytes.substr(at, 7));
      writer->Write(part);
    }
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

class FakeFleet::Jobs final : public job::JobService::Service {
 public:
  explicit Jobs(State& state) : state_(state) {}

  grpc::Status CreateJob(grpc::ServerContext* context, const job::CreateJobRequest* request,
                         job::Job* answer) override {
    std::lock_guard lock(state_.mutex);
    Note(*context);
    state_.calls.created_jobs.push_back(*request);
    if (request->spec().find("bad") != std::string::npos) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "line 2: unknown key \"bad\""};
    }
    answer->set_name(absl::StrCat(request->parent(), "/jobs/",
                                  State::Metadata(*context, "x-floe-service"), "-01new"));
    answer->set_kind(request->kind());
    answer->set_state(job::Job::QUEUED);
    return grpc::Status::OK;
  }

  grpc::Status GetJob(grpc::ServerContext* context, const job::GetJobRequest* request,
                      job::Job* answer) override {
    std::lock_guard lock(state_.mutex);
    Note(*context);
    const auto found = state_.jobs.find(request->name());
    if (found == state_.jobs.end()) return {grpc::StatusCode::NOT_FOUND, "no such job"};
    *answer = found->second;
    return grpc::Status::OK;
  }

  grpc::Status ListJobs(grpc::ServerContext* context, const job::ListJobsRequest*,
                        job::ListJobsResponse* answer) override {
    std::lock_guard lock(state_.mutex);
    Note(*context);
    const std::string service = State::Metadata(*context, "x-floe-service");
    if (service == "tokenizer") return {grpc::StatusCode::UNAVAILABLE, "draining"};
    for (const auto& [name, one] : state_.jobs) *answer->add_jobs() = one;
    return grpc::Status::OK;
  }

  grpc::Status PauseJob(grpc::ServerContext* context, const job::PauseJobRequest* request,
                        job::Job* answer) override {
    return SetState(*context, request->name(), job::Job::PAUSING, answer);
  }
  grpc::Status ResumeJob(grpc::ServerContext* context, const job::ResumeJobRequest* request,
                         job::Job* answer) override {
    return SetState(*context, request->name(), job::Job::QUEUED, answer);
  }
  // One row a page, so that programs that forget pages show it.
  grpc::Status ListJobMetrics(grpc::ServerContext* context,
                              const job::ListJobMetricsRequest* request,
                              job::ListJobMetricsResponse* answer) override {
    std::lock_guard lock(state_.mutex);
    Note(*context);
    const auto& rows = state_.measured[request->parent()];
    const size_t at = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    if (at < rows.size()) *answer->add_metrics() = rows[at];
    if (at + 1 < rows.size()) answer->set_next_page_token(std::to_string(at + 1));
    return grpc::Status::OK;
  }

  grpc::Status WatchJob(grpc::ServerContext* context, const job::WatchJobRequest* request,
                        grpc::ServerWriter<job::JobEvent>* writer) override {
    std::lock_guard lock(state_.mutex);
    Note(*context);
    state_.calls.watched_after.push_back(request->after_sequence());
    for (const job::JobEvent& event : state_.events[request->name()]) {
      if (event.sequence() <= request->after_sequence()) continue;
      writer->Write(event);
      if (state_.breaks.erase(event.sequence()) > 0) {
        return {grpc::StatusCode::UNAVAILABLE, "the service went away"};
      }
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status SetState(const grpc::ServerContext& context, const std::string& name,
                        job::Job::State state, job::Job* answer) {
    std::lock_guard lock(state_.mutex);
    Note(context);
    job::Job& one = state_.jobs[name];
    one.set_state(state);
    one.set_queue_position(state == job::Job::QUEUED ? 3 : 0);
    *answer = one;
    return grpc::Status::OK;
  }
  void Note(const grpc::ServerContext& context) {
    state_.calls.services.push_back(State::Metadata(context, "x-floe-service"));
  }
  State& state_;
};

class FakeFleet::Keys final : public gw::KeyService::Service {
 public:
  explicit Keys(State& state) : state_(state) {}

  grpc::Status GetCaller(grpc::ServerContext* context, const gw::GetCallerRequest*,
                         gw::Caller* answer) override {
    if (auto status = State::Check(*context); !status.ok()) return status;
    answer->set_team(kFakeTeam);
    return grpc::Status::OK;
  }

  grpc::Status CreateKey(grpc::ServerContext*, const gw::CreateKeyRequest* request,
                         gw::CreateKeyResponse* answer) override {
    if (request->key().role() == "admin") {
      return {grpc::StatusCode::PERMISSION_DENIED, "only an admin makes admins"};
    }
    *answer->mutable_key() = request->key();
    answer->mutable_key()->set_name(absl::StrCat(request->parent(), "/keys/01key"));
    answer->set_secret("floe-secret");
    std::lock_guard lock(state_.mutex);
    state_.keys[answer->key().name()] = answer->key();
    return grpc::Status::OK;
  }

  grpc::Status GetKey(grpc::ServerContext*, const gw::GetKeyRequest* request,
                      gw::Key* answer) override {
    std::lock_guard lock(state_.mutex);
    const auto found = state_.keys.find(request->name());
    if (found == state_.keys.end()) return {grpc::StatusCode::NOT_FOUND, "no such key"};
    *answer = found->second;
    return grpc::Status::OK;
  }

  grpc::Status ListKeys(grpc::ServerContext*, const gw::ListKeysRequest*,
                        gw::ListKeysResponse* answer) override {
    std::lock_guard lock(state_.mutex);
    for (const auto& [name, key] : state_.keys) *answer->add_keys() = key;
    return grpc::Status::OK;
  }

 private:
  State& state_;
};

FakeFleet::FakeFleet() : state_(std::make_unique<State>()) {
  services_.push_back(std::make_unique<Registry>(*state_));
  services_.push_back(std::make_unique<Blobs>(*state_));
  services_.push_back(std::make_unique<Jobs>(*state_));
  services_.push_back(std::make_unique<Keys>(*state_));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  for (const auto& service : services_) builder.RegisterService(service.get());
  server_ = builder.BuildAndStart();
}

FakeFleet::~FakeFleet() { server_->Shutdown(); }

std::string FakeFleet::door() const { return absl::StrCat("127.0.0.1:", port_); }

std::string FakeFleet::PutBlob(const std::string& bytes) {
  std::lock_guard lock(state_->mutex);
  const std::string digest = Sha256::Hex(bytes);
  state_->blobs[digest] = bytes;
  return digest;
}

void FakeFleet::DamageBlob(const std::string& digest) {
  std::lock_guard lock(state_->mutex);
  state_->blobs[digest][0] ^= 1;
}

void FakeFleet::PutModel(const std::string& model, const std::map<std::string, std::string>& files,
                         const std::string& manifest) {
  reg::ModelVersion version;
  version.set_name(absl::StrCat(kFakeTeam, "/models/", model, "/versions/1"));
  version.set_manifest(manifest.empty() ? "{\"of\":\"" + model + "\"}" : manifest);
  version.set_digest(Sha256::Hex(version.manifest()));
  version.set_parameters(1'234'567);
  version.add_aliases("production");
  (*version.mutable_metrics())["held_out_loss"] = 4.25;
  version.mutable_lineage()->set_dataset("teams/default/datasets/corpus");
  version.mutable_lineage()->set_dataset_digest(std::string(64, 'd'));
  version.mutable_lineage()->set_tokenizer("teams/default/tokenizers/words");
  version.mutable_lineage()->set_tokenizer_digest(std::string(64, 'e'));
  version.mutable_lineage()->set_job("teams/default/jobs/trainer-01made");
  for (const auto& [name, bytes] : files) {
    auto& file = *version.add_files();
    file.set_name(name);
    file.set_digest(PutBlob(bytes));
    file.set_size_bytes(static_cast<int64_t>(bytes.size()));
  }
  std::lock_guard lock(state_->mutex);
  state_->versions[model] = version;
}

void FakeFleet::PutMetrics(const std::string& version,
                           const std::map<std::string, double>& metrics) {
  std::lock_guard lock(state_->mutex);
  state_->metrics[version] = metrics;
}

void FakeFleet::PutTokenizer(const std::string& name, int64_t vocab_size) {
  std::lock_guard lock(state_->mutex);
  reg::Tokenizer& tokenizer = state_->tokenizers[name];
  tokenizer.set_name(name);
  tokenizer.set_vocab_size(vocab_size);
}

void FakeFleet::PutTokenizer(const std::string& name, const std::string& tokenizer_json,
                             const std::string& config_json) {
  const std::string digest = PutBlob(tokenizer_json), config_digest = PutBlob(config_json);
  std::lock_guard lock(state_->mutex);
  reg::Tokenizer& tokenizer = state_->tokenizers[name];
  tokenizer.set_name(name);
  tokenizer.set_digest(digest);
  tokenizer.set_config_digest(config_digest);
}

void FakeFleet::PutMetrics(const std::string& one, std::vector<job::JobMetrics> rows) {
  std::lock_guard lock(state_->mutex);
  state_->measured[one] = std::move(rows);
}

void FakeFleet::PutJob(job::Job one, std::vector<job::JobEvent> events, std::set<int64_t> breaks) {
  std::lock_guard lock(state_->mutex);
  state_->events[one.name()] = std::move(events);
  state_->breaks = std::move(breaks);
  state_->jobs[one.name()] = std::move(one);
}

FakeFleet::Calls FakeFleet::calls() {
  std::lock_guard lock(state_->mutex);
  return state_->calls;
}

std::string FakeFleet::blob(const std::string& digest) {
  std::lock_guard lock(state_->mutex);
  return state_->blobs[digest];
}

}  // namespace floe::test
