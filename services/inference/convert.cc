#include "services/inference/convert.h"

#include <limits>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/inference/constraint.h"
#include "services/runtime/proto_time.h"

namespace floe::inference {
namespace {

constexpr int kMaxStops = 16;
constexpr size_t kMaxCacheSaltBytes = 512;
constexpr size_t kMaxStopBytes = 1024;
constexpr int kMaxTopLogprobs = 20;

absl::StatusOr<std::vector<int32_t>> Ids(const google::protobuf::RepeatedField<uint32_t>& from,
                                         const char* field) {
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(from.size()));
  for (const uint32_t id : from) {
    if (id > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) {
      return absl::InvalidArgumentError(
          absl::StrCat("id ", id, " in ", field, " is outside every vocabulary"));
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

absl::Status CheckStops(const v1::GenerateRequest& request) {
  if (request.stop_size() > kMaxStops) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop has ", request.stop_size(), " texts; at most ", kMaxStops));
  }
  for (const std::string& stop : request.stop()) {
    if (stop.size() <= kMaxStopBytes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("a text in stop has ", stop.size(), " bytes; at most ", kMaxStopBytes));
  }
  return absl::OkStatus();
}

SamplingParams FromProto(const v1::Sampling& sampling) {
  SamplingParams out;
  out.temperature = sampling.temperature();
  out.top_k = sampling.top_k();
  out.top_p = sampling.top_p();
  out.min_p = sampling.min_p();
  out.seed = sampling.seed();
  out.presence_penalty = sampling.presence_penalty();
  out.frequency_penalty = sampling.frequency_penalty();
  if (sampling.repetition_penalty() != 0) out.repetition_penalty = sampling.repetition_penalty();
  for (const v1::Sampling::LogitBias& bias : sampling.logit_bias()) {
    // What is outside every vocabulary becomes negative, and the scheduler refuses it.
    out.logit_bias.push_back({static_cast<int32_t>(bias.id()), bias.bias()});
  }
  return out;
}

absl::Status ReadLogprobs(const v1::GenerateRequest& request, Request& out) {
  if (!request.has_log_probabilities()) return absl::OkStatus();
  out.top_logprobs = request.log_probabilities().top();
  out.sampled_logprobs = request.log_probabilities().sampled();
  out.prompt_logprobs = request.log_probabilities().prompt();
  if (out.top_logprobs >= 0 && out.top_logprobs <= kMaxTopLogprobs) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("log_probabilities.top is ", out.top_logprobs,
                                                 "; it must lie in [0, ", kMaxTopLogprobs, "]"));
}

void SetId(int32_t id, float log_probability, const tokenizer::Tokenizer* tokenizer,
           v1::IdLogProbability& out) {
  out.set_id(static_cast<uint32_t>(id));
  out.set_log_probability(log_probability);
  // An id beyond the tokenizer (the embedding may be padded) has no bytes.
  if (tokenizer == nullptr) return;
  if (const auto bytes = tokenizer->TokenBytes(id)) out.set_token(std::string(*bytes));
}

void SetLogprobs(const TokenLogProbabilities& from, const tokenizer::Tokenizer* tokenizer,
                 v1::IdLogProbabilities& out) {
  SetId(from.id, from.log_probability, tokenizer, *out.mutable_chosen());
  out.set_first(from.first);
  for (const TokenLogProbability& one : from.top) {
    SetId(one.id, one.log_probability, tokenizer, *out.add_top());
  }
  if (tokenizer == nullptr || tokenizer->IsSpecial(from.id)) return;
  out.set_text_bytes(static_cast<int32_t>(out.chosen().token().size()));
}

}  // namespace

absl::StatusOr<Request> RequestFromProto(const v1::GenerateRequest& request,
                                         const ServedModel& model) {
  Request out;
  FLOE_ASSIGN_OR_RETURN(out.prompt, Ids(request.prompt_ids(), "prompt_ids"));
  out.max_tokens = request.max_tokens();
  out.sampling = FromProto(request.sampling());
  FLOE_RETURN_IF_ERROR(CheckStops(request));
  FLOE_RETURN_IF_ERROR(ReadLogprobs(request, out));
  out.stop.assign(request.stop().begin(), request.stop().end());
  FLOE_ASSIGN_OR_RETURN(out.stop_ids, Ids(request.stop_ids(), "stop_ids"));
  if (!request.ignore_eos()) {
    out.stop_ids.insert(out.stop_ids.end(), model.end_ids.begin(), model.end_ids.end());
  }
  if (request.has_constraint()) {
    FLOE_ASSIGN_OR_RETURN(out.constraint, ConstraintFromProto(request, model));
  }
  out.continued = request.continued_ids();
  if (request.cache_salt().size() > kMaxCacheSaltBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cache_salt has ", request.cache_salt().size(),
                                                   " bytes; at most ", kMaxCacheSaltBytes));
  }
  out.cache_salt = request.cache_salt();
  FLOE_ASSIGN_OR_RETURN(out.tier, TierOf(request.service_tier()));
  out.text = model.NewTextStream();
  return out;
}

absl::StatusOr<ServiceTier> TierOf(const std::string& service_tier) {
  if (service_tier.empty()) return ServiceTier::kDefault;
  return ParseTier(service_tier);
}

absl::StatusOr<Request> RequestFromProto(const v1::ScoreRequest::Sequence& sequence) {
  Request out;
  FLOE_ASSIGN_OR_RETURN(out.prompt, Ids(sequence.ids(), "ids"));
  if (sequence.score_from() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("score_from is ", sequence.score_from(), "; it must be at least 1"));
  }
  out.score_from = sequence.score_from();
  return out;
}

absl::StatusOr<Request> EmbeddingFromProto(const v1::EmbedRequest& request, int index) {
  Request out;
  FLOE_ASSIGN_OR_RETURN(out.prompt, Ids(request.sequences(index).ids(), "ids"));
  out.embed = true;
  out.last_token = request.pooling() == v1::EmbedRequest::LAST;
  out.dimensions = request.dimensions();
  FLOE_ASSIGN_OR_RETURN(out.tier, TierOf(request.service_tier()));
  return out;
}

v1::GenerateResponse ToProto(const Event& event, const ServedModel& model) {
  v1::GenerateResponse response;
  for (const int32_t id : event.ids) response.add_ids(static_cast<uint32_t>(id));
  response.set_text(event.text);
  response.set_cached_tokens(event.cached_tokens);
  for (const TokenLogProbabilities& one : event.logprobs) {
    SetLogprobs(one, model.tokenizer.get(), *response.add_log_probabilities());
  }
  for (const TokenLogProbabilities& one : event.prompt_logprobs) {
    SetLogprobs(one, model.tokenizer.get(), *response.add_prompt_log_probabilities());
  }
  if (event.finish.has_value()) {
    const Usage& usage = event.finish->usage;
    v1::Finish& finish = *response.mutable_finish();
    finish.set_reason(event.finish->reason == FinishReason::kStop ? v1::Finish::STOP
                                                                  : v1::Finish::LENGTH);
    finish.set_prompt_tokens(usage.prompt_tokens);
    finish.set_completion_tokens(usage.completion_tokens);
    finish.set_computed_tokens(usage.computed_tokens);
    finish.set_cached_tokens(usage.cached_tokens);
    finish.set_kv_block_seconds(absl::ToDoubleSeconds(usage.kv_block_time));
    finish.set_service_tier_met(std::string(TierName(event.finish->tier_met)));
    *finish.mutable_queue_time() = runtime::ToProto(usage.queue_time);
    *finish.mutable_time_to_first_token() = runtime::ToProto(usage.time_to_first_token);
    *finish.mutable_total_time() = runtime::ToProto(usage.total_time);
  }
  return response;
}

v1::ScoreResponse::Scores ToProto(const std::vector<TokenScore>& scores) {
  v1::ScoreResponse::Scores out;
  for (const TokenScore& score : scores) {
    out.add_log_probabilities(score.log_probability);
    out.add_greedy(score.greedy);
  }
  return out;
}

}  // namespace floe::inference
