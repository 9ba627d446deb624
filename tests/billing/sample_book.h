// A price book with round numbers, for tests.
#pragma once

namespace floe::billing {

// Picodollars a token of `hamlet`: default 200,000 / 100,000 / 800,000 (input, cached, output),
// flex half of that, priority twice; a call costs 10^8 in default and priority. Cost is four fifths
// of each price.
inline constexpr char kSampleBook[] = R"(
margin: 25%
models:
  hamlet:
    default:  {input: 0.16, cached_input: 0.08, output: 0.64, call: 0.00008}
    flex:     {input: 0.08, cached_input: 0.04, output: 0.32}
    priority: {input: 0.32, cached_input: 0.16, output: 1.28, call: 0.00008}
  embedder:
    default: {input: 0.016}
operations:
  retrieval: {call: 0.0004}
  tool: {call: 0.0008, priority: 0.0016}
)";

}  // namespace floe::billing
