// Any bytes as a form of answers: a grammar within its limits whose texts can be gone along, or an
// error of the client's. The first byte says which kind of form.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "inference/grammar/automaton.h"
#include "inference/grammar/grammar_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::inference::grammar;
  if (size == 0) return 0;
  constexpr Form::Kind kKinds[] = {Form::Kind::kRegex, Form::Kind::kEbnf, Form::Kind::kJsonSchema};
  const Form form{kKinds[data[0] % 3],
                  std::string(reinterpret_cast<const char*>(data) + 1, size - 1)};
  const auto grammar = CompileForm(form);
  if (!grammar.ok()) {
    if (!absl::IsInvalidArgument(grammar.status()) || grammar.status().message().empty())
      std::abort();
    return 0;
  }
  if (grammar->size() > kMaxNodes + 1) std::abort();
  Automaton automaton(*grammar);
  Automaton::State state = automaton.Start();
  for (int step = 0; step < 64 && state > Automaton::kDead; ++step) {
    automaton.BeginWork();
    // The first byte that may come, from one on that the input chooses.
    Automaton::State next = Automaton::kDead;
    for (int i = 0; i < 256 && next == Automaton::kDead; ++i) {
      next =
          automaton.Next(state, static_cast<uint8_t>(data[static_cast<size_t>(step) % size] + i));
    }
    // Every text can be brought to an end.
    if (next == Automaton::kDead && !automaton.accepting(state)) std::abort();
    state = next;
  }
  if (automaton.num_states() > Automaton::kMaxStates) std::abort();
  return 0;
}
