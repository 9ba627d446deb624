// The governed request: what came in, and what each stage found out about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "gateway/ask.h"
#include "gateway/generation.h"
#include "gateway/ports.h"

namespace floe::gateway {

struct Request;

// Where the answer goes; one a request, by whoever received it. Every wait lets a slow client slow
// the worker down, within the limits of who implements it.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  // A piece that has text or a finish; CANCELLED when the client is gone.
  virtual Awaitable<absl::Status> Write(const Request& request, const Piece& piece) = 0;
};

// Belongs to one coroutine at a time. The stages that fill a field are named above it; later stages
// read it.
struct Request {
  // Arrival.
  std::string id;             // X-Request-Id
  std::string what;           // `POST /v1/chat/completions`
  std::string authorization;  // the header, with the key; empty: none was sent
  std::string trace_id;
  absl::Time arrived;
  Ask ask;
  AnswerSink* sink = nullptr;  // borrowed

  // identify fills in the caller.
  CallScope scope;

  // policy
  ResolvedModel model;

  // quote
  std::vector<uint32_t> prompt_ids;
  int64_t max_tokens = 0;

  // generate; a later stage may put a stream of its own around it.
  std::unique_ptr<TokenStream> stream;

  // answer
  int64_t pieces = 0;
  std::optional<Finish> finish;

  // The pipeline.
  std::vector<StageTime> times;
};

}  // namespace floe::gateway
