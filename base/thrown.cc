#include "base/thrown.h"

#include <exception>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe {

absl::Status StatusOfThrown(std::string_view what) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(AbslView(what), ": out of memory"));
  } catch (const std::system_error& error) {
    const std::string message = absl::StrCat(AbslView(what), ": ", error.what());
    // What std::thread says when the system's bound on threads or memory is reached.
    return error.code() == std::errc::resource_unavailable_try_again
               ? absl::ResourceExhaustedError(message)
               : absl::InternalError(message);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(AbslView(what), ": ", error.what()));
  } catch (...) {
    return absl::InternalError(absl::StrCat(AbslView(what), ": something unknown was thrown"));
  }
}

}  // namespace floe
