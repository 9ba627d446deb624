#include "registry/blob_access.h"

#include <memory>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::registry {
namespace {

absl::Status Mismatch(const Blob& expected, const Blob& actual) {
  return WithReason(
      absl::DataLossError(absl::StrCat("the upload has SHA-256 ", actual.digest, " and ",
                                       actual.size_bytes, " bytes, blob ", expected.digest,
                                       " was announced; nothing was kept, send it again")),
      "DIGEST_MISMATCH", {{"expected", expected.digest}, {"actual", actual.digest}});
}

absl::Status WrongSize(const Blob& expected, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("info.size_bytes is ", expected.size_bytes, " for blob ", expected.digest,
                   ", but ", AbslView(what), "; send the blob's own size, or 0"));
}

}  // namespace

absl::StatusOr<Blob> BlobAccess::Get(const Caller& caller, std::string_view digest) {
  FLOE_RETURN_IF_ERROR(CheckDigest("digest", digest));
  FLOE_ASSIGN_OR_RETURN(const BlobIndex::Entry entry, index_.Find(caller.team, digest));
  return entry.blob;
}

absl::StatusOr<Blob> BlobAccess::Store(const Caller& caller, const Blob& expected, Source source) {
  FLOE_RETURN_IF_ERROR(CheckDigest("info.digest", expected.digest));
  if (expected.size_bytes < 0) return WrongSize(expected, "a size is not negative");
  FLOE_ASSIGN_OR_RETURN(const auto known, Known(caller, expected));
  if (known) return *known;
  return Receive(caller, expected, source);
}

absl::StatusOr<std::optional<Blob>> BlobAccess::Known(const Caller& caller, const Blob& expected) {
  const auto entry = index_.Find(caller.team, expected.digest);
  if (absl::IsNotFound(entry.status())) return std::nullopt;
  if (!entry.ok()) return entry.status();
  const Blob& blob = entry->blob;
  // A blob whose bytes are gone or changed is received anew: that is how it is healed.
  if (entry->damaged) return std::nullopt;
  if (expected.size_bytes > 0 && expected.size_bytes != blob.size_bytes) {
    return WrongSize(expected, absl::StrCat("it has ", blob.size_bytes, " bytes"));
  }
  // Counts as sent now, so that the collection's grace begins again.
  bool whole = false;
  FLOE_RETURN_IF_ERROR(index_.Add(caller.team, blob, clock_.Now(), [&]() -> absl::Status {
    const auto size = store_.Size(blob.digest);
    if (!size.ok() && !absl::IsNotFound(size.status())) return size.status();
    whole = size.ok() && *size == blob.size_bytes;
    return absl::OkStatus();
  }));
  if (!whole) return std::nullopt;
  return blob;
}

absl::StatusOr<Blob> BlobAccess::Receive(const Caller& caller, const Blob& expected,
                                         Source source) {
  FLOE_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, store_.Begin());
  std::string piece;
  int64_t received = 0;
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const bool more, source(piece));
    if (!more) break;
    received += static_cast<int64_t>(piece.size());
    if (expected.size_bytes > 0 && received > expected.size_bytes) {
      return WrongSize(expected, "more bytes came");
    }
    FLOE_RETURN_IF_ERROR(writer->Append(piece));
  }
  FLOE_ASSIGN_OR_RETURN(const Blob actual, writer->Seal());
  if (actual.digest != expected.digest) return Mismatch(expected, actual);
  if (expected.size_bytes > 0 && actual.size_bytes != expected.size_bytes) {
    return WrongSize(expected, absl::StrCat("its ", actual.size_bytes, " bytes are complete"));
  }
  FLOE_RETURN_IF_ERROR(
      index_.Add(caller.team, actual, clock_.Now(), [&] { return writer->Place(); }));
  return actual;
}

absl::Status BlobAccess::Read(const Caller& caller, std::string_view digest, int64_t offset,
                              BlobStore::Sink sink) {
  FLOE_ASSIGN_OR_RETURN(const Blob blob, Get(caller, digest));
  if (offset < 0 || offset > blob.size_bytes) {
    return absl::OutOfRangeError(absl::StrCat("offset ", offset, " is not within the ",
                                              blob.size_bytes, " bytes of blob ", blob.digest));
  }
  return ReadAndRemember(blob, offset, sink);
}

absl::StatusOr<Blob> BlobAccess::Verify(const Caller& caller, std::string_view digest,
                                        absl::FunctionRef<absl::Status()> go_on) {
  FLOE_ASSIGN_OR_RETURN(const Blob blob, Get(caller, digest));
  FLOE_RETURN_IF_ERROR(ReadAndRemember(blob, 0, [&](std::string_view) { return go_on(); }));
  return blob;
}

absl::Status BlobAccess::ReadAndRemember(const Blob& blob, int64_t offset, BlobStore::Sink sink) {
  const absl::Status status = store_.Read(blob, offset, sink);
  // Remembering it lets the next upload heal the blob. The reader's answer does not depend on that.
  if (absl::IsDataLoss(status)) index_.MarkDamaged(blob.digest, clock_.Now()).IgnoreError();
  return status;
}

}  // namespace floe::registry
