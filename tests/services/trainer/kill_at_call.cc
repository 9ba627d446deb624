// Loaded into a program (LD_PRELOAD): kills it inside the writing of a training state, at a place
// that KILL_AT names: `write:n` half-way through the n-th write of a state file, `fsync:n` before
// it is synced, `rename:n` before it gets its name, `renamed:n` just after.
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

bool IsState(const char* path) { return std::strstr(path, "/state-") != nullptr; }

bool IsState(int fd) {
  char link[64], path[4096];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t length = ::readlink(link, path, sizeof(path) - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return IsState(path);
}

// Whether this is the call at which to die.
bool IsNow(const char* call, std::atomic<int>& calls) {
  const char* at = std::getenv("KILL_AT");
  const size_t length = std::strlen(call);
  if (at == nullptr || std::strncmp(at, call, length) != 0 || at[length] != ':') return false;
  return ++calls == std::atoi(at + length + 1);
}

template <class Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  static std::atomic<int> calls{0};
  if (IsState(fd) && IsNow("write", calls)) {
    static_cast<void>(real(fd, bytes, size / 2));
    ::raise(SIGKILL);
  }
  return real(fd, bytes, size);
}

int fsync(int fd) {
  static const auto real = Real<int (*)(int)>("fsync");
  static std::atomic<int> calls{0};
  if (IsState(fd) && IsNow("fsync", calls)) ::raise(SIGKILL);
  return real(fd);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = Real<int (*)(const char*, const char*)>("rename");
  static std::atomic<int> calls{0}, done{0};
  const bool state = IsState(to);
  if (state && IsNow("rename", calls)) ::raise(SIGKILL);
  const int result = real(from, to);
  if (state && IsNow("renamed", done)) ::raise(SIGKILL);
  return result;
}

}  // extern "C"
