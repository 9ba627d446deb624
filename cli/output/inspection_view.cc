#include "cli/output/inspection_view.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

namespace floe::cli {
namespace {

using trainer::HeadRoles;
using trainer::Inspection;
using trainer::InspectionReport;
using trainer::LayerRoles;

constexpr int kBarWidth = 24;
constexpr size_t kShownHeads = 16;

std::string Change(double before, double after) {
  return absl::StrFormat("%.3f -> %.3f", before, after);
}

std::string Bar(double value, double most) {
  const int length = most <= 0 ? 0 : static_cast<int>(std::lround(kBarWidth * value / most));
  return std::string(std::clamp(length, 0, kBarWidth), '#');
}

// Layers that only one side has are left out: dials may differ between two versions.
size_t LayersOfBoth(const InspectionReport& report) {
  return std::min(report.before.layers.size(), report.after.layers.size());
}

std::string Parameters(const Inspection& seen) {
  Table table({"COMPONENT", ">PARAMETERS", ">SHARE"});
  for (const auto& one : seen.components) {
    if (one.parameters == 0) continue;
    table.Add({one.name, HumanCount(one.parameters), absl::StrFormat("%.1f %%", 100 * one.share)});
  }
  return table.Render();
}

std::string Layers(const InspectionReport& report) {
  Table table(
      {"BEHIND", ">LOSS READ OUT HERE", "AFTER", ">ATTENTION RMS", ">FFN RMS", ">RESIDUAL RMS"});
  const Inspection &before = report.before, &after = report.after;
  double most = after.embedding_read_out_loss;
  for (const LayerRoles& layer : after.layers) most = std::max(most, layer.read_out_loss);
  table.Add({"embedding", Change(before.embedding_read_out_loss, after.embedding_read_out_loss),
             Bar(after.embedding_read_out_loss, most), "-", "-",
             Change(before.embedding_rms, after.embedding_rms)});
  for (size_t l = 0; l < LayersOfBoth(report); ++l) {
    const LayerRoles &was = before.layers[l], &is = after.layers[l];
    table.Add({absl::StrCat("layer ", l), Change(was.read_out_loss, is.read_out_loss),
               Bar(is.read_out_loss, most), Change(was.attention_rms, is.attention_rms),
               Change(was.ffn_rms, is.ffn_rms), Change(was.residual_rms, is.residual_rms)});
  }
  return table.Render();
}

struct Head {
  size_t layer, head;
  HeadRoles before, after;

  double Strongest() const {
    return std::max({after.previous_token, after.induction, after.first_token});
  }
};

std::string Heads(const InspectionReport& report) {
  std::vector<Head> heads;
  for (size_t l = 0; l < LayersOfBoth(report); ++l) {
    const auto &was = report.before.layers[l].heads, &is = report.after.layers[l].heads;
    for (size_t h = 0; h < std::min(was.size(), is.size()); ++h) {
      heads.push_back({l, h, was[h], is[h]});
    }
  }
  const size_t all = heads.size();
  if (all > kShownHeads) {
    std::stable_sort(heads.begin(), heads.end(),
                     [](const Head& a, const Head& b) { return a.Strongest() > b.Strongest(); });
    heads.resize(kShownHeads);
  }
  Table table({"HEAD", ">PREVIOUS TOKEN", ">INDUCTION", ">FIRST TOKEN"});
  for (const Head& one : heads) {
    table.Add({absl::StrCat(one.layer, ".", one.head),
               Change(one.before.previous_token, one.after.previous_token),
               Change(one.before.induction, one.after.induction),
               Change(one.before.first_token, one.after.first_token)});
  }
  std::string text = table.Render();
  if (all > heads.size()) {
    absl::StrAppend(&text, "the strongest ", heads.size(), " of ", all, "; --json has all\n");
  }
  return text;
}

// A token may hold what a terminal would obey.
std::string Shown(const std::string& token) {
  std::string text;
  for (const char c : token) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&text, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      text.push_back(c);
    }
  }
  return absl::StrCat("'", text, "'");
}

std::string Nearest(const Inspection& seen, const std::string& token) {
  std::string text;
  for (const auto& one : seen.neighbours) {
    if (one.token != token) continue;
    for (const auto& [near, cosine] : one.nearest) {
      absl::StrAppendFormat(&text, "%s%s %.2f", text.empty() ? "" : ", ", Shown(near), cosine);
    }
  }
  return text.empty() ? "-" : text;
}

std::string NeighboursOf(const InspectionReport& report) {
  Fields fields;
  for (const auto& one : report.after.neighbours) {
    fields.Add(absl::StrCat(Shown(one.token), " before"), Nearest(report.before, one.token));
    fields.Add("  after", Nearest(report.after, one.token));
  }
  return fields.Render();
}

}  // namespace

std::string InspectionView(const InspectionReport& report) {
  std::string text;
  absl::StrAppend(&text, "before: ", report.before.subject, "\nafter:  ", report.after.subject,
                  "\ntext:   ", HumanCount(report.text_tokens), " tokens\n\n");
  absl::StrAppend(&text, "Where the parameters are\n", Parameters(report.after), "\n");
  absl::StrAppend(&text, "Where the answer is made: nats a token when the head reads the stream, ",
                  "and what is written to it\n", Layers(report), "\n");
  absl::StrAppend(&text, "Where heads look: the share of attention given to it\n", Heads(report),
                  "\n");
  absl::StrAppend(&text, "Nearest neighbours of embeddings (cosine)\n", NeighboursOf(report));
  return text;
}

}  // namespace floe::cli
