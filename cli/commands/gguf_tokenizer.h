// A tokenizer's files as GGUF spells them.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

#include "model/gguf.h"

namespace floe::cli {

// `files` holds tokenizer.json and maybe tokenizer_config.json. FAILED_PRECONDITION when there is
// no tokenizer.json, UNIMPLEMENTED for a pattern that llama.cpp has no name for; else the errors of
// reading them.
absl::StatusOr<model::GgufTokenizer> GgufTokenizerOf(
    const std::map<std::string, std::string>& files);

}  // namespace floe::cli
