// The border of c10's exceptions.
#pragma once

#include <ATen/ATen.h>

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace floe::inference {

// What `body` returns, without autograd; RESOURCE_EXHAUSTED when memory ran out, INTERNAL for other
// exceptions. `Result` is absl::Status or a StatusOr.
template <class Result, class Body>
Result RunTorch(const Body& body) {
  try {
    const c10::InferenceMode no_autograd;
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory; lower max-step-tokens or kv-mib");
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("out of the device's memory; lower max-step-tokens or kv-mib: ",
                     error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what()));
  }
}

}  // namespace floe::inference
