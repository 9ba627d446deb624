// A block of numbers on a cache line's border: what vector loads want. Owns its memory; movable.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace floe::inference {

// Zero-filled. Memory is taken from the machine when it is first written to; large pages, where
// there are some, spare the walks of the page table that weights and keys would cost.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // data() is null when the memory is not to be had (and size() is 0 then).
  explicit AlignedBuffer(int64_t size) {
    const size_t wanted = static_cast<size_t>(size) * sizeof(T);
    mapped_bytes_ = wanted + (wanted >= kLargePage ? kLargePage : 0) + 64;
    void* memory =
        ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    mapped_ = memory;
    const size_t border = wanted >= kLargePage ? kLargePage : 64;
    const auto address = reinterpret_cast<uintptr_t>(memory);
    data_ = reinterpret_cast<T*>((address + border - 1) / border * border);
    if (border == kLargePage) ::madvise(data_, wanted, MADV_HUGEPAGE);
    size_ = size;
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept { *this = std::move(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(mapped_, other.mapped_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() {
    if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(T)); }

 private:
  static constexpr size_t kLargePage = size_t{2} << 20;

  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

using AlignedFloats = AlignedBuffer<float>;

// The next multiple of 16: every row of the engine's buffers is padded to it.
constexpr int64_t RoundUp16(int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace floe::inference
