#include "base/random.h"

#include <random>

namespace floe {

uint64_t RandomBits() {
  // Making a device asks the processor what it can do, which a virtual machine answers slowly.
  thread_local std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace floe
