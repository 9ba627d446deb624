// Use case: blobs sent and read by those who may.
//
// A digest is no right: a team reads a blob only when it has sent its bytes itself or a resource of
// its own holds it. So bytes that exist already are received and compared again when another team
// sends them, and still stored once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows its parts.
class BlobAccess {
 public:
  // Fills `piece` with the next bytes of an upload; false at its end.
  using Source = absl::FunctionRef<absl::StatusOr<bool>(std::string& piece)>;

  BlobAccess(BlobStore& store, BlobIndex& index, const Clock& clock)
      : store_(store), index_(index), clock_(clock) {}

  // NOT_FOUND when there is none that the caller may read.
  absl::StatusOr<Blob> Get(const Caller& caller, std::string_view digest);

  // Stores what `source` gives, or answers without asking it when the caller's team has sent this
  // blob before. Nothing is kept unless all bytes came and are the ones that `expected` names:
  // DATA_LOSS otherwise. A size of 0 in `expected` means that it is not known. A status of `source`
  // is returned.
  absl::StatusOr<Blob> Store(const Caller& caller, const Blob& expected, Source source);

  // BlobStore::Read for a caller. OUT_OF_RANGE when `offset` lies behind the end.
  absl::Status Read(const Caller& caller, std::string_view digest, int64_t offset,
                    BlobStore::Sink sink);

  // Reads everything: DATA_LOSS naming the blob when its bytes changed on disk. `go_on` is asked
  // once a piece, and its error ends the reading.
  absl::StatusOr<Blob> Verify(const Caller& caller, std::string_view digest,
                              absl::FunctionRef<absl::Status()> go_on);

 private:
  absl::StatusOr<std::optional<Blob>> Known(const Caller& caller, const Blob& expected);
  absl::StatusOr<Blob> Receive(const Caller& caller, const Blob& expected, Source source);
  absl::Status ReadAndRemember(const Blob& blob, int64_t offset, BlobStore::Sink sink);

  BlobStore& store_;
  BlobIndex& index_;
  const Clock& clock_;
};

}  // namespace floe::registry
