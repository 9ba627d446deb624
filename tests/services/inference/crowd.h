// Clients that wait at a worker, so that whoever comes behind them has to wait long.
#pragma once

#include <list>
#include <memory>

#include "floe/inference/v1/inference.grpc.pb.h"

namespace floe::inference {

// As many streams of one request, opened at once and never read. Ends them when it goes. Borrows
// the stub. Not thread-safe.
class Crowd {
 public:
  Crowd(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request, int count);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Whether at least so many wait in the worker's queue within 20 s.
  bool Await(int waiting);

 private:
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  v1::InferenceService::Stub& stub_;
  std::list<Stream> streams_;
};

// A prompt of that many ids, and one token behind it.
v1::GenerateRequest LongPrompt(const std::string& digest, int ids);

}  // namespace floe::inference
