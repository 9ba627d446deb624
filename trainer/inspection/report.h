// What training made of random weights, in numbers: the roles that components have taken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::trainer {

// How much of its attention a head gives where, a mean over queries; 1 is all of it.
struct HeadRoles {
  double previous_token = 0;  // to the token before, on text
  double first_token = 0;     // to the first one of the window, on text: a sink
  // To the token behind the earlier occurrence of the present one, on random tokens said twice:
  // what copies a pattern (Olsson et al. 2022, "In-context learning and induction heads").
  double induction = 0;
};

// Root mean squares over the text's tokens.
struct LayerRoles {
  double attention_rms = 0;  // of what attention adds to the residual stream
  double ffn_rms = 0;        // of what the feed-forward layer adds
  double residual_rms = 0;   // of the stream behind the layer
  double read_out_loss = 0;  // nats a token when the head reads the stream here ("logit lens")
  std::vector<HeadRoles> heads;
};

struct ComponentShare {
  std::string name;
  int64_t parameters = 0;
  double share = 0;
};

// A token, and those whose embeddings point most nearly the same way: cosine, falling.
struct Neighbours {
  std::string token;
  std::vector<std::pair<std::string, double>> nearest;
};

struct Inspection {
  std::string subject;  // which weights
  double loss = 0;      // nats a token on the text
  std::vector<ComponentShare> components;
  double embedding_rms = 0;            // of the stream before the first layer
  double embedding_read_out_loss = 0;  // when the head reads it there
  std::vector<LayerRoles> layers;
  std::vector<Neighbours> neighbours;
};

// Two looks at one architecture on the same text.
struct InspectionReport {
  int64_t text_tokens = 0;  // that were read
  Inspection before;
  Inspection after;
};

// {text_tokens, before: {subject, loss, components, embedding, layers, neighbours}, after: {…}}
std::string InspectionJson(const InspectionReport& report);
// The way back; DATA_LOSS when it has another form.
absl::StatusOr<InspectionReport> ParseInspectionJson(std::string_view json);

}  // namespace floe::trainer
