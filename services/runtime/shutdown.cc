#include "services/runtime/shutdown.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace floe::runtime {
namespace {

sigset_t ShutdownSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t set = ShutdownSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A peer that hangs up is an error of write(), not the end of the process.
  signal(SIGPIPE, SIG_IGN);
}

ShutdownSignal::ShutdownSignal() {
  const sigset_t set = ShutdownSet();
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  request_ = ::eventfd(0, EFD_CLOEXEC);
  if (signals_ < 0 || request_ < 0) {
    std::perror("cannot make signalfd or eventfd (are file descriptors exhausted?)");
    std::abort();
  }
}

ShutdownSignal::~ShutdownSignal() {
  ::close(signals_);
  ::close(request_);
}

void ShutdownSignal::Wait() {
  pollfd events[2] = {{signals_, POLLIN, 0}, {request_, POLLIN, 0}};
  while (::poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  // Taken out of the queue, or a second Wait() would see the same signal.
  signalfd_siginfo info;
  if ((events[0].revents & POLLIN) != 0 && ::read(signals_, &info, sizeof(info)) < 0) return;
}

void ShutdownSignal::Request() {
  const uint64_t one = 1;
  if (::write(request_, &one, sizeof(one)) < 0) return;  // full: already requested
}

}  // namespace floe::runtime
