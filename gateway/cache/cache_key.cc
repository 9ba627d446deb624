#include "gateway/cache/cache_key.h"

#include <bit>
#include <string>

#include "base/sha256.h"

namespace floe::gateway::cache {
namespace {

class Parts {
 public:
  void Add(std::string_view text) {
    Add(static_cast<uint64_t>(text.size()));
    bytes_.append(text);
  }
  void Add(uint64_t number) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(number >> (8 * i)));
  }
  void Add(float number) { Add(uint64_t{std::bit_cast<uint32_t>(number)}); }

  std::string Digest() const { return Sha256::Hex(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace

Key KeyOf(const KeyParts& parts) {
  Parts all;
  all.Add("floe answer 3");
  all.Add(parts.team);
  all.Add(parts.policy_digest);
  all.Add(parts.checkpoint_digest);
  all.Add(parts.tokenizer_digest);
  all.Add(uint64_t{parts.prompt_ids.size()});
  for (const uint32_t id : parts.prompt_ids) all.Add(uint64_t{id});
  all.Add(uint64_t{parts.prompt_ends.size()});
  for (const size_t end : parts.prompt_ends) all.Add(uint64_t{end});
  const Sampling& sampling = parts.sampling;
  all.Add(sampling.temperature);
  all.Add(static_cast<uint64_t>(sampling.top_k));
  all.Add(sampling.top_p);
  all.Add(sampling.min_p);
  all.Add(sampling.presence_penalty);
  all.Add(sampling.frequency_penalty);
  all.Add(sampling.repetition_penalty);
  all.Add(uint64_t{sampling.logit_bias.size()});
  for (const auto& [id, bias] : sampling.logit_bias) {
    all.Add(uint64_t{id});
    all.Add(bias);
  }
  // Greedy answers do not depend on a seed.
  const bool seeded = sampling.seed.has_value() && sampling.temperature != 0;
  all.Add(uint64_t{seeded});
  all.Add(seeded ? *sampling.seed : 0);
  all.Add(static_cast<uint64_t>(parts.max_tokens));
  all.Add(uint64_t{parts.stop.size()});
  for (const std::string& stop : parts.stop) all.Add(std::string_view(stop));
  all.Add(static_cast<uint64_t>(parts.response_format.kind));
  all.Add(std::string_view(parts.response_format.text));
  return {std::string(parts.team), all.Digest()};
}

}  // namespace floe::gateway::cache
