// A Lua script that Redis runs as one step.
#pragma once

#include <string>
#include <string_view>

namespace floe::gateway::redis {

// A value. Redis knows a script by its SHA-1 once it was sent.
class Script {
 public:
  explicit Script(std::string_view text);

  const std::string& text() const { return text_; }
  const std::string& sha1() const { return sha1_; }  // 40 hexadecimal characters

 private:
  std::string text_;
  std::string sha1_;
};

}  // namespace floe::gateway::redis
