// Where a blob's file is, for everyone who sees the folder: `<folder>/sha256/ab/abcdef…`.
#pragma once

#include <filesystem>
#include <string_view>

namespace floe::registry {

// `digest` must be one (64 hexadecimal characters): it becomes part of a path.
inline std::filesystem::path BlobPath(const std::filesystem::path& folder,
                                      std::string_view digest) {
  return folder / "sha256" / digest.substr(0, 2) / digest;
}

}  // namespace floe::registry
