#include "trainer/alignment/internal/answer_batch.h"

#include <algorithm>

#include "model/accounting.h"

namespace floe::trainer {
namespace {

at::Tensor Ids(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

}  // namespace

AnswerBatch MakeAnswerBatch(const PaddedBatch& padded) {
  std::vector<int64_t> rows, targets;
  AnswerBatch batch;
  for (size_t i = 0; i < padded.targets.size(); ++i) {
    if (padded.targets[i] < 0) continue;
    rows.push_back(static_cast<int64_t>(i));
    targets.push_back(padded.targets[i]);
    batch.sequence.push_back(static_cast<int64_t>(i) / padded.length);
  }
  batch.ids = Ids(padded.ids).reshape({padded.sequences, padded.length});
  batch.rows = Ids(rows);
  batch.targets = Ids(targets);
  return batch;
}

void TextCounts::Add(const Rendered& text) {
  ++texts;
  tokens += static_cast<int64_t>(text.ids.size()) - 1;
  answer_tokens += text.answer_tokens();
}

double AlignmentFlopsPerToken(const model::Blueprint& blueprint, const TextCounts& counts) {
  const int64_t attended =
      std::max<int64_t>(1, counts.tokens / std::max<int64_t>(1, counts.texts) / 2);
  const double head = 2.0 * static_cast<double>(blueprint.hidden_size * blueprint.vocab_size);
  const double body = static_cast<double>(model::ForwardFlopsPerToken(blueprint, attended)) - head;
  const double share = static_cast<double>(counts.answer_tokens) /
                       static_cast<double>(std::max<int64_t>(1, counts.tokens));
  return 3.0 * (body + head * share);
}

at::Tensor HiddenOfAnswers(const Transformer& transformer, const AnswerBatch& batch) {
  return transformer.Hidden(batch.ids).index_select(0, batch.rows);
}

}  // namespace floe::trainer
