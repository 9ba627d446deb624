#include "retrieval/hnsw/hnsw_index.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::retrieval {
namespace {

class HnswIndex final : public VectorIndex {
 public:
  HnswIndex(size_t dimensions, const HnswOptions& options)
      : dimensions_(dimensions),
        space_(dimensions),
        graph_(&space_, std::max<size_t>(1, options.initial_capacity), options.links,
               options.build_breadth),
        search_breadth_(options.search_breadth) {}

  absl::Status Add(int64_t id, std::span<const float> vector) override {
    if (vector.size() != dimensions_) {
      return absl::DataLossError(absl::StrCat("vector ", id, " has ", vector.size(),
                                              " numbers, the others of its index have ",
                                              dimensions_, "; index the collection anew"));
    }
    const std::unique_lock lock(mutex_);
    try {
      if (graph_.cur_element_count == graph_.max_elements_) {
        graph_.resizeIndex(graph_.max_elements_ * 2);
      }
      graph_.addPoint(vector.data(), static_cast<hnswlib::labeltype>(id));
    } catch (const std::exception& error) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the index cannot take another vector: ", error.what()));
    }
    return absl::OkStatus();
  }

  void Remove(int64_t id) override {
    const std::unique_lock lock(mutex_);
    try {
      graph_.markDelete(static_cast<hnswlib::labeltype>(id));
      ++removed_;
    } catch (const std::exception&) {
      // hnswlib throws for a label that is not there or is removed already: nothing is to be done.
    }
  }

  std::vector<Neighbour> Nearest(std::span<const float> query, int count) const override {
    const std::shared_lock lock(mutex_);
    std::vector<Neighbour> nearest;
    const size_t alive = graph_.cur_element_count - removed_;
    const size_t wanted = std::min(alive, static_cast<size_t>(std::max(count, 0)));
    if (wanted == 0 || query.size() != dimensions_) return nearest;
    // hnswlib looks at max(ef, k) candidates; asking for more of them widens a single search
    // without a setting that searches beside this one would see.
    const size_t breadth = std::min(alive, std::max(wanted, search_breadth_));
    try {
      auto queue = graph_.searchKnn(query.data(), breadth);
      nearest.resize(queue.size());
      for (size_t i = queue.size(); i-- > 0; queue.pop()) {
        nearest[i] = {static_cast<int64_t>(queue.top().second), 1 - queue.top().first};
      }
    } catch (const std::exception&) {
      return {};  // no memory for the list of the visited: found by words alone
    }
    std::stable_sort(nearest.begin(), nearest.end(), [](const Neighbour& a, const Neighbour& b) {
      return a.cosine != b.cosine ? a.cosine > b.cosine : a.id < b.id;
    });
    nearest.resize(std::min(nearest.size(), wanted));
    return nearest;
  }

 private:
  const size_t dimensions_;
  mutable std::shared_mutex mutex_;
  hnswlib::InnerProductSpace space_;
  mutable hnswlib::HierarchicalNSW<float> graph_;  // guarded by mutex_; searching changes no vector
  size_t removed_ = 0;                             // guarded by mutex_
  const size_t search_breadth_;
};

}  // namespace

std::unique_ptr<VectorIndex> MakeHnswIndex(size_t dimensions, HnswOptions options) {
  return std::make_unique<HnswIndex>(dimensions, options);
}

}  // namespace floe::retrieval
