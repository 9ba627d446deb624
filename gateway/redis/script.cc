#include "gateway/redis/script.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"

#include "base/view.h"

namespace floe::gateway::redis {
namespace {

std::string Sha1Hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

}  // namespace

Script::Script(std::string_view text) : text_(text), sha1_(Sha1Hex(text)) {}

}  // namespace floe::gateway::redis
