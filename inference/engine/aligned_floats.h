// A block of floats on a cache line's border: what vector loads want. Owns its memory; movable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace floe::inference {

class AlignedFloats {
 public:
  AlignedFloats() = default;
  // Zero-filled. data() is null when the memory is not to be had (and size() is 0 then).
  explicit AlignedFloats(int64_t size) {
    const size_t bytes = (static_cast<size_t>(size) * sizeof(float) + 63) / 64 * 64;
    data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes == 0 ? 64 : bytes)));
    if (data_ == nullptr) return;
    std::memset(data_.get(), 0, bytes);
    size_ = size;
  }
  AlignedFloats(AlignedFloats&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedFloats& operator=(AlignedFloats&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float[], Free> data_;
  int64_t size_ = 0;
};

// The next multiple of 16: every row of the engine's buffers is padded to it.
constexpr int64_t RoundUp16(int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace floe::inference
