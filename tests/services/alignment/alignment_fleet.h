// What an alignment job needs: the fleet of the training tests, floe-alignment, a worker, a runner
// of the queue `alignment`, and a tiny base model of teams/nlp in the registry.
#pragma once

#include <memory>
#include <string>

#include "floe/registry/v1/registry.pb.h"
#include "tests/services/trainer/training_fleet.h"

namespace floe::alignment {

class AlignmentFleet : public trainer::TrainingFleet {
 public:
  AlignmentFleet();

  std::shared_ptr<grpc::Channel> alignment() const { return Channel(alignment_address_); }
  void StartAlignmentRunner();

  // Version 1 of teams/nlp/models/tiny: random weights, the sample tokenizer, context 64.
  const registry::v1::ModelVersion& base() const { return base_; }
  // Registers the bytes as a dataset of teams/nlp.
  void Import(const std::string& id, const std::string& format, const std::string& bytes);

 private:
  std::string alignment_address_;
  std::string worker_address_;
  registry::v1::ModelVersion base_;
};

}  // namespace floe::alignment
