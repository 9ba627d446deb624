#include "services/usage/lasting_name.h"

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::usage {

absl::StatusOr<std::string> LastingName(const std::filesystem::path& folder, std::string_view kind,
                                        IdGenerator& ids) {
  const std::filesystem::path file = folder / "name";
  absl::StatusOr<std::string> known = ReadFile(file);
  if (known.ok()) return *std::move(known);
  if (!absl::IsNotFound(known.status())) return known.status();
  const std::string name = absl::StrCat(AbslView(kind), "-", ids.Next());
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(file, name));
  return name;
}

}  // namespace floe::usage
