// Reading the Unicode Character Database, for the build-time programs of this folder only.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace floe::unicode {

inline constexpr uint32_t kCodePoints = 0x110000;

[[noreturn]] inline void Fail(const std::string& message) {
  std::cerr << "unicode tables: " << message << "\n";
  std::exit(1);
}

inline uint32_t CodePoint(const std::string& text) {
  const unsigned long value = std::stoul(text, nullptr, 16);
  if (value >= kCodePoints) Fail("code point out of range: " + text);
  return static_cast<uint32_t>(value);
}

// The fields of every line that is not empty, without comments and the blanks around them.
inline void ForEachLine(const std::string& path,
                        const std::function<void(const std::vector<std::string>&)>& visit) {
  std::ifstream file(path);
  if (!file) Fail("cannot read " + path);
  for (std::string line; std::getline(file, line);) {
    std::stringstream stream(line.substr(0, line.find('#')));
    std::vector<std::string> fields;
    for (std::string field; std::getline(stream, field, ';');) {
      const size_t first = field.find_first_not_of(" \t\r");
      const size_t last = field.find_last_not_of(" \t\r");
      fields.push_back(first == std::string::npos ? "" : field.substr(first, last - first + 1));
    }
    if (fields.size() >= 2) visit(fields);
  }
}

// The first and last code point of `0041` or `0041..005A`.
inline std::pair<uint32_t, uint32_t> Range(const std::string& text) {
  const size_t dots = text.find("..");
  const uint32_t first = CodePoint(text.substr(0, dots));
  return {first, dots == std::string::npos ? first : CodePoint(text.substr(dots + 2))};
}

inline void WriteArray(std::ostream& out, const std::string& declaration,
                       const std::vector<uint32_t>& values) {
  out << declaration << "[" << values.size() << "] = {";
  for (size_t i = 0; i < values.size(); ++i) out << (i % 32 == 0 ? "\n" : "") << values[i] << ",";
  out << "\n};\n";
}

}  // namespace floe::unicode
