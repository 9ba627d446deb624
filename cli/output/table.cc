#include "cli/output/table.h"

#include <algorithm>
#include <utility>

namespace floe::cli {
namespace {

std::string Padded(const std::string& cell, size_t width, bool right) {
  const size_t size = DisplayWidth(cell);
  const std::string space(width > size ? width - size : 0, ' ');
  return right ? space + cell : cell + space;
}

void AppendTrimmed(std::string line, std::string& out) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {
  for (std::string& heading : headings_) {
    right_.push_back(heading.starts_with(">"));
    if (right_.back()) heading.erase(0, 1);
  }
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<size_t> widths;
  for (size_t column = 0; column < headings_.size(); ++column) {
    widths.push_back(DisplayWidth(headings_[column]));
    for (const auto& row : rows_)
      widths[column] = std::max(widths[column], DisplayWidth(row[column]));
  }
  std::string out;
  const auto append = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column) {
      if (column > 0) line += "  ";
      line += Padded(cells[column], widths[column], right_[column]);
    }
    AppendTrimmed(std::move(line), out);
  };
  append(headings_);
  for (const auto& row : rows_) append(row);
  return out;
}

void Fields::Add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

std::string Fields::Render() const {
  size_t width = 0;
  for (const auto& [name, value] : fields_) width = std::max(width, DisplayWidth(name));
  std::string out;
  for (const auto& [name, value] : fields_) {
    AppendTrimmed(Padded(name, width, false) + "  " + value, out);
  }
  return out;
}

}  // namespace floe::cli
