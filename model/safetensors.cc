#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/half.h"

namespace floe::model {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they lie");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;
constexpr char kMetadata[] = "__metadata__";

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("safetensors: ", AbslView(what)));
}

// A name from the file as a message shows it: short, on one line.
std::string Shown(std::string_view name) {
  const std::string text = absl::Utf8SafeCHexEscape(AbslView(name.substr(0, 120)));
  return absl::StrCat("\"", text, name.size() > 120 ? "...\"" : "\"");
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    if (name == DTypeName(dtype)) return dtype;
  }
  return std::nullopt;
}

// The bytes of `shape` elements; empty when that is beyond 63 bits.
std::optional<uint64_t> ByteCount(const std::vector<int64_t>& shape, DType dtype) {
  int64_t count = DTypeBytes(dtype);
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(count, dim, &count)) return std::nullopt;
  }
  return static_cast<uint64_t>(count);
}

struct Entry {
  std::optional<DType> dtype;
  std::optional<std::vector<int64_t>> shape;
  std::optional<std::vector<int64_t>> offsets;
};

// Takes the header member by member, and stops at the first that the format does not have. Nothing
// is built but the result, so memory stays in proportion to the header whatever it nests.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::map<std::string, Entry>& entries() { return entries_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }
  const std::string& mistake() const { return mistake_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(int64_t value) override { return Unexpected(absl::StrCat(value)); }
  bool number_float(double, const std::string& text) override {
    return Unexpected(text.substr(0, 40));
  }
  bool binary(nlohmann::json::binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(uint64_t value) override {
    if (numbers_ == nullptr) return Unexpected(absl::StrCat(value));
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      return Fail(
          absl::StrCat(field_, " of ", Shown(name_), " holds ", value, ", beyond 2^63 - 1"));
    }
    numbers_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      if (!metadata_.emplace(field_, std::move(value)).second) {
        return Fail(absl::StrCat("the metadata hold ", Shown(field_), " twice"));
      }
      return true;
    }
    if (place_ != Place::kTensor || numbers_ != nullptr || field_ != "dtype") {
      return Unexpected("a string");
    }
    Entry& entry = entries_[name_];
    if (entry.dtype) return Twice();
    entry.dtype = ParseDType(value);
    if (!entry.dtype) {
      return Fail(absl::StrCat("dtype of ", Shown(name_), " is ", Shown(value),
                               "; readable are F32, F16 and BF16"));
    }
    return true;
  }

  bool start_object(size_t) override {
    switch (place_) {
      case Place::kOutside:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        place_ = name_ == kMetadata ? Place::kMetadata : Place::kTensor;
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      const Entry& entry = entries_[name_];
      if (!entry.dtype || !entry.shape || !entry.offsets) {
        const char* missing = !entry.dtype ? "dtype" : !entry.shape ? "shape" : "data_offsets";
        return Fail(absl::StrCat(Shown(name_), " has no ", missing));
      }
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || numbers_ != nullptr) return Unexpected("an array");
    Entry& entry = entries_[name_];
    if (field_ != "shape" && field_ != "data_offsets") return Unexpected("an array");
    auto& target = field_ == "shape" ? entry.shape : entry.offsets;
    if (target) return Twice();
    numbers_ = &target.emplace();
    return true;
  }

  bool end_array() override {
    numbers_ = nullptr;
    if (field_ == "data_offsets" && entries_[name_].offsets->size() != 2) {
      return Fail(absl::StrCat("data_offsets of ", Shown(name_), " must be two numbers"));
    }
    return true;
  }

  bool key(std::string& name) override {
    if (place_ == Place::kTop) {
      name_ = std::move(name);
      const bool fresh = name_ == kMetadata ? !std::exchange(has_metadata_, true)
                                            : entries_.emplace(name_, Entry()).second;
      return fresh || Fail(absl::StrCat("the header holds ", Shown(name_), " twice"));
    }
    field_ = std::move(name);
    if (place_ == Place::kTensor && field_ != "dtype" && field_ != "shape" &&
        field_ != "data_offsets") {
      return Fail(absl::StrCat(Shown(name_), " has the unknown key ", Shown(field_),
                               "; known are dtype, shape and data_offsets"));
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The parser's own text quotes the input; only where it stopped is of use.
    return Fail(
        absl::StrCat("the header is not JSON at its byte ", position, " (error ", error.id, ")"));
  }

 private:
  enum class Place { kOutside, kTop, kTensor, kMetadata };

  bool Fail(std::string mistake) {
    mistake_ = std::move(mistake);
    return false;
  }
  bool Twice() { return Fail(absl::StrCat(Shown(name_), " has ", field_, " twice")); }
  bool Unexpected(std::string_view found) {
    switch (place_) {
      case Place::kOutside:
        return Fail(absl::StrCat("the header is ", AbslView(found), ", and must be an object"));
      case Place::kTop:
        return Fail(absl::StrCat(Shown(name_), " is ", AbslView(found), ", and must be an object"));
      case Place::kMetadata:
        return Fail(absl::StrCat("metadata ", Shown(field_), " is ", AbslView(found),
                                 ", and must be a string"));
      case Place::kTensor:
        break;
    }
    const char* wanted = field_ == "dtype" ? "a string" : "an array of whole numbers from 0";
    return Fail(absl::StrCat(field_, " of ", Shown(name_), " holds ", AbslView(found),
                             ", and must be ", wanted));
  }

  Place place_ = Place::kOutside;
  std::string name_;
  std::string field_;
  bool has_metadata_ = false;
  std::vector<int64_t>* numbers_ = nullptr;  // the open array
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
  std::string mistake_;
};

absl::Status CheckHasLength(size_t file_size) {
  if (file_size >= kLengthBytes) return absl::OkStatus();
  return Bad(
      absl::StrCat("the file has ", file_size, " bytes; it starts with a header length of 8"));
}

// Of the header of a file that begins with `first`.
absl::StatusOr<size_t> HeaderLength(const char* first, size_t file_size) {
  uint64_t length = 0;
  std::memcpy(&length, first, kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return Bad(absl::StrCat("the header length is ", length, " bytes; at most ", kMaxHeaderBytes,
                            " are allowed"));
  }
  if (length > file_size - kLengthBytes) {
    return Bad(absl::StrCat("the header length is ", length, " bytes, but only ",
                            file_size - kLengthBytes, " follow: the file is cut off"));
  }
  return length;
}

absl::Status CheckEntry(const std::string& name, const Entry& entry, uint64_t buffer_size) {
  const uint64_t begin = static_cast<uint64_t>((*entry.offsets)[0]);
  const uint64_t end = static_cast<uint64_t>((*entry.offsets)[1]);
  if (begin > end || end > buffer_size) {
    return Bad(absl::StrCat("data_offsets of ", Shown(name), " are ", begin, " to ", end,
                            "; must rise, and end within the ", buffer_size, " bytes of data"));
  }
  const std::optional<uint64_t> bytes = ByteCount(*entry.shape, *entry.dtype);
  if (!bytes) return Bad(absl::StrCat("shape of ", Shown(name), " counts beyond 2^63 bytes"));
  if (*bytes != end - begin) {
    return Bad(absl::StrCat("data_offsets of ", Shown(name), " span ", end - begin,
                            " bytes, but its dtype and shape need ", *bytes));
  }
  return absl::OkStatus();
}

// The tensors must cover the data without holes and overlaps.
absl::Status CheckCover(const std::map<std::string, Entry>& entries, uint64_t buffer_size) {
  std::vector<const std::pair<const std::string, Entry>*> by_offset;
  for (const auto& item : entries) by_offset.push_back(&item);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return *a->second.offsets < *b->second.offsets; });
  int64_t covered = 0;
  for (const auto* item : by_offset) {
    const int64_t begin = (*item->second.offsets)[0];
    if (begin != covered) {
      return Bad(absl::StrCat(Shown(item->first), " begins at ", begin,
                              ", but the tensors before it end at ", covered,
                              begin < covered ? ": they overlap" : ": a hole"));
    }
    covered = (*item->second.offsets)[1];
  }
  if (static_cast<uint64_t>(covered) != buffer_size) {
    return Bad(absl::StrCat("the tensors end at ", covered, ", but ", buffer_size,
                            " bytes of data are there"));
  }
  return absl::OkStatus();
}

// What the header's text says of the data behind it, which is not looked at.
absl::StatusOr<SafetensorsHeader> ParseHeader(std::string_view json, std::string_view buffer) {
  if (json.empty() || json.front() != '{') return Bad("the header must start with {");
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json, &reader)) return Bad(reader.mistake());
  for (const auto& [name, entry] : reader.entries()) {
    FLOE_RETURN_IF_ERROR(CheckEntry(name, entry, buffer.size()));
  }
  FLOE_RETURN_IF_ERROR(CheckCover(reader.entries(), buffer.size()));
  SafetensorsHeader header;
  header.metadata = std::move(reader.metadata());
  for (auto& [name, entry] : reader.entries()) {
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
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name == kMetadata || !names.insert(name).second) {
      return Bad(absl::StrCat("cannot write ", Shown(name), ": the name is reserved or taken"));
    }
    const bool negative =
        std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t dim) { return dim < 0; });
    if (negative || ByteCount(tensor.shape, tensor.dtype) != tensor.bytes.size()) {
      return Bad(absl::StrCat("cannot write ", Shown(name), ": its ", tensor.bytes.size(),
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
    if (text.size() > kMaxHeaderBytes) return Bad("cannot write a header above 100 MB");
    return text;
  } catch (const nlohmann::json::exception&) {
    return Bad("cannot write: a name or the metadata are not UTF-8");
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
