#include "base/id.h"

namespace floe {

std::string UlidGenerator::Next() {
  static constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
  const uint64_t millis = static_cast<uint64_t>(absl::ToUnixMillis(clock_.Now()));
  std::string id(26, '0');
  for (int i = 0; i < 10; ++i) id[9 - i] = kAlphabet[(millis >> (5 * i)) & 31];
  std::lock_guard lock(mutex_);
  for (int i = 10; i < 26; i += 4) {
    const uint32_t bits = random_();
    for (int j = 0; j < 4; ++j) id[i + j] = kAlphabet[(bits >> (5 * j)) & 31];
  }
  return id;
}

}  // namespace floe
