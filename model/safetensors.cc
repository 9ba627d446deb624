#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/half.h"
#include "model/safetensors_header.h"

namespace floe::model {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they lie");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;

// The bytes of `shape` elements; empty when that is beyond 63 bits.
std::optional<uint64_t> ByteCount(const std::vector<int64_t>& shape, DType dtype) {
  int64_t count = DTypeBytes(dtype);
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(count, dim, &count)) return std::nullopt;
  }
  return static_cast<uint64_t>(count);
}

absl::Status CheckHasLength(size_t file_size) {
  if (file_size >= kLengthBytes) return absl::OkStatus();
  return BadSafetensors(
      absl::StrCat("the file has ", file_size, " bytes; it starts with a header length of 8"));
}

// Of the header of a file that begins with `first`.
absl::StatusOr<size_t> HeaderLength(const char* first, size_t file_size) {
  uint64_t length = 0;
  std::memcpy(&length, first, kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return BadSafetensors(absl::StrCat("the header length is ", length, " bytes; at most ",
                                       kMaxHeaderBytes, " are allowed"));
  }
  if (length > file_size - kLengthBytes) {
    return BadSafetensors(absl::StrCat("the header length is ", length, " bytes, but only ",
                                       file_size - kLengthBytes, " follow: the file is cut off"));
  }
  return length;
}

absl::Status CheckEntry(const std::string& name, const HeaderEntry& entry, uint64_t buffer_size) {
  const uint64_t begin = static_cast<uint64_t>((*entry.offsets)[0]);
  const uint64_t end = static_cast<uint64_t>((*entry.offsets)[1]);
  if (begin > end || end > buffer_size) {
    return BadSafetensors(absl::StrCat("data_offsets of ", ShownName(name), " are ", begin, " to ",
                                       end, "; must rise, and end within the ", buffer_size,
                                       " bytes of data"));
  }
  const std::optional<uint64_t> bytes = ByteCount(*entry.shape, *entry.dtype);
  if (!bytes)
    return BadSafetensors(absl::StrCat("shape of ", ShownName(name), " counts beyond 2^63 bytes"));
  if (*bytes != end - begin) {
    return BadSafetensors(absl::StrCat("data_offsets of ", ShownName(name), " span ", end - begin,
                                       " bytes, but its dtype and shape need ", *bytes));
  }
  return absl::OkStatus();
}

// The tensors must cover the data without holes and overlaps.
absl::Status CheckCover(const std::map<std::string, HeaderEntry>& entries, uint64_t buffer_size) {
  std::vector<const std::pair<const std::string, HeaderEntry>*> by_offset;
  for (const auto& item : entries) by_offset.push_back(&item);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return *a->second.offsets < *b->second.offsets; });
  int64_t covered = 0;
  for (const auto* item : by_offset) {
    const int64_t begin = (*item->second.offsets)[0];
    if (begin != covered) {
      return BadSafetensors(absl::StrCat(ShownName(item->first), " begins at ", begin,
                                         ", but the tensors before it end at ", covered,
                                         begin < covered ? ": they overlap" : ": a hole"));
    }
    covered = (*item->second.offsets)[1];
  }
  if (static_cast<uint64_t>(covered) != buffer_size) {
    return BadSafetensors(absl::StrCat("the tensors end at ", covered, ", but ", buffer_size,
                                       " bytes of data are there"));
  }
  return absl::OkStatus();
}

// What the header's text says of the data behind it, which is not looked at.
absl::StatusOr<SafetensorsHeader> ParseHeader(std::string_view json, std::string_view buffer) {
  FLOE_ASSIGN_OR_RETURN(HeaderText text, ReadHeaderText(json));
  for (const auto& [name, entry] : text.entries) {
    FLOE_RETURN_IF_ERROR(CheckEntry(name, entry, buffer.size()));
  }
  FLOE_RETURN_IF_ERROR(CheckCover(text.entries, buffer.size()));
  SafetensorsHeader header;
  header.metadata = std::move(text.metadata);
  for (auto& [name, entry] : text.entries) {
    const size_t begin = static_cast<size_t>((*entry.offsets)[0]);
    const size_t end = static_cast<size_t>((*entry.offsets)[1]);
    header.tensors.emplace(
        name, TensorView{*entry.dtype, std::move(*entry.shape), buffer.substr(begin, end - begin)});
  }
  return header;
}

absl::StatusOr<std::string> HeaderJson(const std::vector<NamedTensor>& tensors,
                                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataMember] = metadata;
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name == kMetadataMember || !names.insert(name).second) {
      return BadSafetensors(
          absl::StrCat("cannot write ", ShownName(name), ": the name is reserved or taken"));
    }
    const bool negative =
        std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t dim) { return dim < 0; });
    if (negative || ByteCount(tensor.shape, tensor.dtype) != tensor.bytes.size()) {
      return BadSafetensors(absl::StrCat("cannot write ", ShownName(name), ": its ",
                                         tensor.bytes.size(),
                                         " bytes are not what dtype and shape need"));
    }
    header.push_back({name,
                      {{"dtype", DTypeName(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"data_offsets", {offset, offset + tensor.bytes.size()}}}});
    offset += tensor.bytes.size();
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    if (text.size() > kMaxHeaderBytes) return BadSafetensors("cannot write a header above 100 MB");
    return text;
  } catch (const nlohmann::json::exception&) {
    return BadSafetensors("cannot write: a name or the metadata are not UTF-8");
  }
}

}  // namespace

int64_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI8:
      return 1;
  }
  return 1;
}

std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI8:
      return "I8";
  }
  return "unknown";
}

int64_t TensorView::NumElements() const {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

std::vector<float> TensorView::ToFloats() const {
  std::vector<float> floats(bytes.size() / static_cast<size_t>(DTypeBytes(dtype)));
  if (dtype == DType::kF32) {
    if (!floats.empty()) std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
    return floats;
  }
  if (dtype == DType::kI8) {
    for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<int8_t>(bytes[i]);
    return floats;
  }
  for (size_t i = 0; i < floats.size(); ++i) {
    uint16_t narrow = 0;
    std::memcpy(&narrow, bytes.data() + 2 * i, sizeof(narrow));
    floats[i] =
        dtype == DType::kF16 ? HalfToFloat(narrow) : std::bit_cast<float>(uint32_t{narrow} << 16);
  }
  return floats;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensors(std::string_view file) {
  FLOE_RETURN_IF_ERROR(CheckHasLength(file.size()));
  FLOE_ASSIGN_OR_RETURN(const size_t length, HeaderLength(file.data(), file.size()));
  return ParseHeader(file.substr(kLengthBytes, length), file.substr(kLengthBytes + length));
}

absl::StatusOr<SafetensorsHeader> ParseSafetensors(const MappedFile& file) {
  const std::string_view bytes = file.bytes();
  FLOE_RETURN_IF_ERROR(CheckHasLength(bytes.size()));
  char first[kLengthBytes];
  FLOE_RETURN_IF_ERROR(file.Read(bytes.substr(0, kLengthBytes), first));
  FLOE_ASSIGN_OR_RETURN(const size_t length, HeaderLength(first, bytes.size()));
  std::string json(length, '\0');
  FLOE_RETURN_IF_ERROR(file.Read(bytes.substr(kLengthBytes, length), json.data()));
  return ParseHeader(json, bytes.substr(kLengthBytes + length));
}

absl::Status WriteSafetensors(const std::filesystem::path& path,
                              const std::vector<NamedTensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  FLOE_ASSIGN_OR_RETURN(const std::string header, HeaderJson(tensors, metadata));
  const uint64_t length = header.size();
  FLOE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  FLOE_RETURN_IF_ERROR(file.Append({reinterpret_cast<const char*>(&length), kLengthBytes}));
  FLOE_RETURN_IF_ERROR(file.Append(header));
  for (const NamedTensor& named : tensors) FLOE_RETURN_IF_ERROR(file.Append(named.tensor.bytes));
  FLOE_RETURN_IF_ERROR(file.Sync());
  return file.Commit(path);
}

}  // namespace floe::model
