// Aligned columns for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace floe::cli {

// Width is counted in code points: names here are ASCII, texts are short.
size_t DisplayWidth(std::string_view text);

class Table {
 public:
  // A heading that starts with '>' is a column of numbers: aligned to the right.
  explicit Table(std::vector<std::string> headings);
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string Render() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// `name: value` lines with the values aligned.
class Fields {
 public:
  void Add(std::string name, std::string value);
  std::string Render() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace floe::cli
