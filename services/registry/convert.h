// The registry's values to messages of the contract.
#pragma once

#include "floe/registry/v1/registry.pb.h"
#include "registry/alias.h"
#include "registry/blob.h"
#include "registry/dataset.h"
#include "registry/evaluation.h"
#include "registry/gate.h"
#include "registry/model_version.h"
#include "registry/tokenizer_revision.h"

namespace floe::registry {

v1::Blob ToProto(const Blob& blob);
v1::Dataset ToProto(const Dataset& dataset);
v1::Tokenizer ToProto(const TokenizerRevision& tokenizer);
v1::ModelVersion ToProto(const ModelVersion& version);
v1::Alias ToProto(const Alias& alias);
v1::Model ToProto(const Model& model);
v1::Evaluation ToProto(const Evaluation& evaluation);
v1::GatePolicy ToProto(const GatePolicy& policy);

}  // namespace floe::registry
