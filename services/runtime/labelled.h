// Metrics of one family by the value of a label, without asking the registry each time: it locks
// and searches through everything that a process counts.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

namespace floe::runtime {

// Thread-safe.
template <typename Metric>
class Labelled {
 public:
  // `make` gives the metric of a value, the same each time, as Metrics does; it must live on.
  explicit Labelled(std::function<Metric&(const std::string&)> make) : make_(std::move(make)) {}

  Metric& For(std::string_view value) {
    {
      const std::shared_lock lock(mutex_);
      const auto found = known_.find(value);
      if (found != known_.end()) return *found->second;
    }
    const std::string name(value);
    Metric& made = make_(name);
    const std::unique_lock lock(mutex_);
    known_.emplace(name, &made);
    return made;
  }

 private:
  const std::function<Metric&(const std::string&)> make_;
  std::shared_mutex mutex_;
  std::map<std::string, Metric*, std::less<>> known_;  // guarded by mutex_
};

}  // namespace floe::runtime
