#include "trainer/alignment/rendered.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

constexpr size_t kNamedLines = 8;

absl::Status AtLine(int64_t line, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("line ", line, ": ", status.message()));
}

absl::Status CheckLength(const Rendered& text, RenderLimits limits) {
  if (static_cast<int64_t>(text.ids.size()) <= limits.max_tokens) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat("line ", text.line, ": the text has ", text.ids.size(),
                                            " tokens, more than the sequence_length ",
                                            limits.max_tokens,
                                            "; shorten it, or set too_long: skip"));
}

template <typename T>
absl::StatusOr<RenderedData<T>> Finish(RenderedData<T> data) {
  if (!data.examples.empty()) return data;
  return absl::FailedPreconditionError(absl::StrCat(
      "all ", data.skipped, " examples are longer than the sequence_length; nothing is left"));
}

// Keeps, skips or refuses one example.
template <typename T>
absl::Status Take(RenderedData<T>& data, T example, const absl::Status& length,
                  RenderLimits limits) {
  if (length.ok()) {
    data.examples.push_back(std::move(example));
  } else if (limits.too_long == TooLong::kSkip) {
    ++data.skipped;
  } else {
    return absl::InvalidArgumentError(length.message());
  }
  return absl::OkStatus();
}

absl::Status BadMask(std::span<const Rendered* const> texts, std::string_view what) {
  std::vector<int64_t> lines;
  for (const Rendered* text : texts.first(std::min(texts.size(), kNamedLines))) {
    lines.push_back(text->line);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a batch of the examples in line ", absl::StrJoin(lines, ", "),
                   texts.size() > kNamedLines ? ", …" : "", " is refused: ", AbslView(what)));
}

}  // namespace

int64_t Rendered::answer_tokens() const {
  return static_cast<int64_t>(std::count(answer.begin(), answer.end(), true));
}

absl::StatusOr<RenderedData<Rendered>> RenderChats(const tokenizer::Tokenizer& tokenizer,
                                                   std::span<const ChatExample> examples,
                                                   RenderLimits limits) {
  RenderedData<Rendered> data;
  for (const ChatExample& example : examples) {
    auto chat =
        limits.chat.RenderForTraining(tokenizer, example.messages, tokenizer::Answers::kAll);
    if (!chat.ok()) return AtLine(example.line, chat.status());
    Rendered text{std::move(chat->ids), std::move(chat->answer), example.line};
    const absl::Status length = CheckLength(text, limits);
    FLOE_RETURN_IF_ERROR(Take(data, std::move(text), length, limits));
  }
  return Finish(std::move(data));
}

absl::StatusOr<Rendered> RenderAnswer(const tokenizer::Tokenizer& tokenizer,
                                      const tokenizer::ChatTemplate& chat_template,
                                      std::span<const ChatMessage> prompt,
                                      const std::string& answer) {
  std::vector<ChatMessage> messages(prompt.begin(), prompt.end());
  messages.push_back({std::string(tokenizer::kAssistant), answer});
  FLOE_ASSIGN_OR_RETURN(
      tokenizer::MaskedChat chat,
      chat_template.RenderForTraining(tokenizer, messages, tokenizer::Answers::kLast));
  return Rendered{std::move(chat.ids), std::move(chat.answer), 0};
}

absl::StatusOr<RenderedData<RenderedPair>> RenderPairs(const tokenizer::Tokenizer& tokenizer,
                                                       std::span<const PreferencePair> pairs,
                                                       RenderLimits limits) {
  RenderedData<RenderedPair> data;
  for (const PreferencePair& pair : pairs) {
    auto chosen = RenderAnswer(tokenizer, limits.chat, pair.prompt, pair.chosen);
    if (!chosen.ok()) return AtLine(pair.line, chosen.status());
    auto rejected = RenderAnswer(tokenizer, limits.chat, pair.prompt, pair.rejected);
    if (!rejected.ok()) return AtLine(pair.line, rejected.status());
    chosen->line = rejected->line = pair.line;
    absl::Status length = CheckLength(*chosen, limits);
    length.Update(CheckLength(*rejected, limits));
    FLOE_RETURN_IF_ERROR(Take(data, {*std::move(chosen), *std::move(rejected)}, length, limits));
  }
  return Finish(std::move(data));
}

absl::StatusOr<PaddedBatch> PadBatch(std::span<const Rendered* const> texts) {
  PaddedBatch batch;
  int64_t real = 0;
  for (const Rendered* text : texts) {
    batch.length = std::max(batch.length, static_cast<int64_t>(text->ids.size()) - 1);
  }
  for (const Rendered* text : texts) {
    for (size_t i = 0; i + 1 < text->ids.size(); ++i) {
      batch.ids.push_back(text->ids[i]);
      batch.targets.push_back(text->answer[i + 1] ? text->ids[i + 1] : -1);
      if (text->answer[i + 1]) ++batch.answer_tokens;
      ++real;
    }
    ++batch.sequences;
    batch.ids.resize(static_cast<size_t>(batch.sequences * batch.length), 0);
    batch.targets.resize(batch.ids.size(), -1);
  }
  if (batch.answer_tokens == 0) {
    return BadMask(texts,
                   "its answer mask is all zero, so it would teach nothing; see that every "
                   "example has an assistant's answer");
  }
  if (batch.answer_tokens == real) {
    return BadMask(texts,
                   "its answer mask is all one, so the questions would be learnt as well; "
                   "see that every example has a question before the answer");
  }
  return batch;
}

}  // namespace floe::trainer
