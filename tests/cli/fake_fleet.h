// A gateway's door for the command line's tests: it keeps datasets, models, keys and a job in
// memory, and looks at the key as the real one does.
#pragma once

#include <grpcpp/server.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "floe/gateway/v1/gateway.grpc.pb.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"

namespace floe::test {

inline constexpr char kFakeKey[] = "floe-good";
inline constexpr char kFakeTeam[] = "teams/default";

// Serves on a free port of the loopback address without TLS. Thread-safe.
class FakeFleet {
 public:
  FakeFleet();
  ~FakeFleet();
  std::string door() const;

  std::string PutBlob(const std::string& bytes);
  void DamageBlob(const std::string& digest);
  // Publishes version 1 of `model` with these files. Without a manifest it has one that no
  // checkpoint has.
  void PutModel(const std::string& model, const std::map<std::string, std::string>& files,
                const std::string& manifest = "");
  // What GetModelVersion says of a version by this name.
  void PutMetrics(const std::string& version, const std::map<std::string, double>& metrics);
  void PutTokenizer(const std::string& name, int64_t vocab_size);
  // With files to download.
  void PutTokenizer(const std::string& name, const std::string& tokenizer_json,
                    const std::string& config_json);
  // A job with its events; the stream of events breaks after each sequence in `breaks`, once.
  // Rows of a job's measurements.
  void PutMetrics(const std::string& job, std::vector<jobs::v1::JobMetrics> rows);
  void PutJob(jobs::v1::Job job, std::vector<jobs::v1::JobEvent> events, std::set<int64_t> breaks);

  struct Calls {
    std::vector<jobs::v1::CreateJobRequest> created_jobs;
    std::vector<std::string> services;  // x-floe-service of every call to JobService
    std::vector<int64_t> watched_after;
    std::vector<registry::v1::Dataset> created_datasets;
    std::vector<registry::v1::SetAliasRequest> set_aliases;
    int64_t largest_chunk = 0;
    int64_t uploads = 0;
  };
  Calls calls();
  std::string blob(const std::string& digest);

 private:
  struct State;
  class Registry;
  class Blobs;
  class Jobs;
  class Keys;
  std::unique_ptr<State> state_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace floe::test
