#include "cli/plan/plan_diagram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/human.h"

namespace floe::cli {
namespace {

constexpr int kInner = 42;  // columns inside a box
constexpr int kBar = 40;    // of a bar that is all of the parameters

// What boxes are drawn with.
struct Pen {
  const char *down, *arrow, *side, *line;
  const char *top_left, *top_right, *bottom_left, *bottom_right, *enter, *leave;
  std::array<const char*, 9> eighths;  // of a bar's last column, none to all
};

constexpr Pen kLines = {
    "│", "▼", "│", "─", "┌", "┐", "└", "┘", "▼", "┬", {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}};
constexpr Pen kAscii = {
    "|", "v", "|", "-", "+", "+", "+", "+", "v", "+", {"", "", "", "", "#", "#", "#", "#", "#"}};

class Drawing {
 public:
  Drawing(const Pen& pen, int64_t total) : pen_(pen), total_(total) {}

  void Text(const std::string& text) { absl::StrAppend(&out_, "  ", text, "\n"); }
  // `label` stands in the upper edge, at the right.
  void Open(const std::string& label = {}) {
    absl::StrAppend(&out_, "  ", pen_.top_left, Edge(3), pen_.enter);
    if (label.empty()) {
      absl::StrAppend(&out_, Edge(kInner - 4), pen_.top_right, "\n");
      return;
    }
    const int rest = kInner - 4 - static_cast<int>(label.size()) - 4;
    absl::StrAppend(&out_, Edge(rest), " ", label, " ", Edge(2), pen_.top_right, "\n");
  }
  void Close() {
    absl::StrAppend(&out_, "  ", pen_.bottom_left, Edge(3), pen_.leave, Edge(kInner - 4),
                    pen_.bottom_right, "\n");
  }
  void Part(const std::string& name, const std::string& what, int64_t count) {
    const double share = static_cast<double>(count) / static_cast<double>(total_);
    const std::string bar = Bar(share);
    absl::StrAppendFormat(&out_, "  %s %-11s %-*s%s %s%s%5.2f %%\n", pen_.side, name, kInner - 13,
                          what.substr(0, kInner - 13), pen_.side, bar, bar.empty() ? "" : " ",
                          100 * share);
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string Edge(int columns) const {
    std::string edge;
    for (int i = 0; i < columns; ++i) edge += pen_.line;
    return edge;
  }
  std::string Bar(double share) const {
    const auto eighths = static_cast<size_t>(std::lround(share * kBar * 8));
    std::string bar;
    for (size_t i = 0; i < eighths / 8; ++i) bar += pen_.eighths[8];
    return bar + pen_.eighths[eighths % 8];
  }

  const Pen& pen_;
  const int64_t total_;
  std::string out_;
};

}  // namespace

std::string PlanDiagram(const model::Blueprint& b, const model::ParameterCounts& counts,
                        bool utf8) {
  const Pen& pen = utf8 ? kLines : kAscii;
  const bool gpt2 = b.family == model::Family::kGpt2;
  const std::string table =
      absl::StrCat(HumanCount(b.vocab_size), " x ", HumanCount(b.hidden_size));
  Drawing drawing(pen, counts.Total());
  drawing.Text("token ids");
  drawing.Text(absl::StrCat("    ", pen.down));
  drawing.Open();
  drawing.Part("embeddings", gpt2 ? absl::StrCat(table, ", positions") : table, counts.embeddings);
  drawing.Close();
  drawing.Open(absl::StrCat("x ", b.num_layers));
  drawing.Part("norms", gpt2 ? "LayerNorm before each" : "RMSNorm before each", counts.norms);
  drawing.Part("+ attention",
               b.num_kv_heads == b.num_heads ? absl::StrCat(b.num_heads, " heads of ", b.head_dim)
                                             : absl::StrCat(b.num_heads, " heads of ", b.head_dim,
                                                            ", ", b.num_kv_heads, " kv heads"),
               counts.attention);
  drawing.Part("+ ffn",
               absl::StrCat(b.ffn == model::FfnKind::kGated ? "gated" : "plain", ", ",
                            HumanCount(b.ffn_hidden), " wide"),
               counts.ffn);
  if (counts.biases > 0) drawing.Part("biases", "of the linear layers", counts.biases);
  drawing.Close();
  drawing.Open();
  drawing.Part("head", b.tie_embeddings ? "the embeddings again" : table, counts.head);
  drawing.Close();
  drawing.Text(absl::StrCat("    ", pen.arrow));
  drawing.Text("probabilities of the next token");
  return drawing.Take();
}

}  // namespace floe::cli
