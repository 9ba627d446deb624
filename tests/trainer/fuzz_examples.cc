// Any bytes as a file of examples, in each of the three formats: refused with a line, or examples
// as the format promises them.
#include <algorithm>

#include "tests/support/fuzzing.h"
#include "trainer/alignment/chat_data.h"

namespace {

using namespace floe::trainer;
using floe::test::Require;

bool Asks(const std::vector<ChatMessage>& prompt) {
  return !prompt.empty() && prompt.back().role != "assistant";
}

void CheckChats(std::string_view file) {
  const auto chats = ParseChats(file);
  if (!chats.ok()) return;
  for (const ChatExample& chat : *chats) {
    Require(chat.line > 0);
    Require(std::any_of(chat.messages.begin(), chat.messages.end(),
                        [](const ChatMessage& m) { return m.role == "assistant"; }));
  }
}

void CheckPreferences(std::string_view file) {
  const auto pairs = ParsePreferences(file);
  if (!pairs.ok()) return;
  for (const PreferencePair& pair : *pairs) {
    Require(Asks(pair.prompt) && pair.chosen != pair.rejected);
    Require(!pair.chosen.empty() && !pair.rejected.empty());
  }
}

void CheckChoices(std::string_view file) {
  const auto questions = ParseChoices(file);
  if (!questions.ok()) return;
  for (const ChoiceQuestion& question : *questions) {
    Require(Asks(question.prompt) && question.choices.size() >= 2);
    Require(question.answer >= 0 && question.answer < std::ssize(question.choices));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file = floe::test::AsText(data, size);
  CheckChats(file);
  CheckPreferences(file);
  CheckChoices(file);
  return 0;
}
