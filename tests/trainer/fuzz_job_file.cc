// Any bytes as the file of a job of each kind that has one: refused, or a specification that is
// written and read back unchanged.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tokenizer/train_spec.h"
#include "trainer/alignment/spec/align_spec.h"
#include "trainer/alignment/spec/evaluate_spec.h"
#include "trainer/alignment/spec/inspect_spec.h"
#include "trainer/spec/pretrain_spec.h"

namespace {

using namespace floe::trainer;

template <typename Parse, typename Write>
void Check(std::string_view text, Parse parse, Write write) {
  const auto spec = parse(text);
  if (!spec.ok()) {
    if (spec.status().message().empty()) std::abort();
    return;
  }
  const std::string json = write(*spec);
  const auto again = parse(json);
  if (!again.ok() || write(*again) != json) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check(text, ParsePretrainSpec, PretrainSpecJson);
  for (const AlignKind kind : {AlignKind::kSft, AlignKind::kDpo}) {
    Check(
        text, [kind](std::string_view file) { return ParseAlignSpec(kind, file); },
        [kind](const AlignSpec& spec) { return AlignSpecJson(kind, spec); });
  }
  Check(text, ParseEvaluateSpec, EvaluateSpecJson);
  Check(text, ParseInspectSpec, InspectSpecJson);
  Check(text, floe::tokenizer::ParseTrainSpec, floe::tokenizer::TrainSpecJson);
  return 0;
}
