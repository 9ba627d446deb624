// Text that knows where each of its bytes comes from, so that what a message says can never pass
// for what the template wrote.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace floe::tokenizer::jinja {

enum class Origin : char {
  kTemplate = 't',  // a literal of the template, or a token that the model's files name
  kRole = 'r',      // the role of a message
  kData = 'd',      // everything else that comes from outside or is computed
};

// `origins` has one Origin for each byte of `bytes`. A value; comparisons look at bytes alone.
struct Text {
  std::string bytes;
  std::string origins;

  Text() = default;
  Text(std::string_view text, Origin origin)
      : bytes(text), origins(text.size(), static_cast<char>(origin)) {}

  size_t size() const { return bytes.size(); }
  Text Slice(size_t begin, size_t length) const {
    Text slice;
    slice.bytes = bytes.substr(begin, length);
    slice.origins = origins.substr(begin, length);
    return slice;
  }
  void Append(const Text& more) {
    bytes += more.bytes;
    origins += more.origins;
  }
};

}  // namespace floe::tokenizer::jinja
