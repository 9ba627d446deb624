// The border of c10's exceptions.
#pragma once

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// What `body` returns; RESOURCE_EXHAUSTED when memory ran out, INTERNAL for other exceptions.
// `Result` is absl::Status or a StatusOr.
template <class Result, class Body>
Result CatchTorch(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "out of memory; lower batch_size or sequence_length and raise gradient_accumulation");
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what()));
  }
}

}  // namespace floe::trainer
