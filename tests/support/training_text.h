// Small texts for tests of training.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace floe::test {

// 400 documents that are alike: soon learnt.
inline std::string AlikeText() {
  std::string text;
  for (int i = 0; i < 400; ++i) absl::StrAppend(&text, "Number ", i, " follows ", i - 1, ".\n\n");
  return text;
}

// A few documents that are like nothing in AlikeText(): a loss that jumps.
inline std::string StrangeText() {
  std::string text;
  for (int i = 0; i < 120; ++i) {
    absl::StrAppend(&text, "q", i * 7919 % 97, "Z~", std::string(1, "{}|^#@&"[i % 7]),
                    i % 20 == 19 ? "\n\n" : "");
  }
  return text;
}

}  // namespace floe::test
