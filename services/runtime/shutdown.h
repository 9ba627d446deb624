// SIGTERM and SIGINT as something to wait for: nothing happens inside a signal handler.
#pragma once

namespace floe::runtime {

// The first line of main(), before any thread exists: all threads inherit the mask.
void BlockShutdownSignals();

// Needs BlockShutdownSignals(). Thread-safe.
class ShutdownSignal {
 public:
  ShutdownSignal();
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;
  ~ShutdownSignal();

  // Returns at the first SIGTERM, SIGINT or Request().
  void Wait();

  // The same end, asked for from inside the process.
  void Request();

 private:
  int signals_ = -1;  // signalfd
  int request_ = -1;  // eventfd
};

}  // namespace floe::runtime
