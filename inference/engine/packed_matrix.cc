#include "inference/engine/packed_matrix.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "model/half.h"

namespace floe::inference {
namespace {

using model::DType;
using model::kQuantizationGroup;

template <typename T>
T NumberAt(const void* numbers, int64_t index) {
  T value;  // a file's bytes need not be aligned
  std::memcpy(&value, static_cast<const char*>(numbers) + index * sizeof(T), sizeof(T));
  return value;
}

// To each number, so that it has no sign.
template <StepsTogether kTogether>
constexpr uint8_t kAdded = kTogether == StepsTogether::kFour ? 128 : 0;

float FloatAt(DType type, const void* numbers, int64_t index) {
  switch (type) {
    case DType::kF32:
      return NumberAt<float>(numbers, index);
    case DType::kF16:
      return model::HalfToFloat(NumberAt<uint16_t>(numbers, index));
    case DType::kBF16:
      return std::bit_cast<float>(uint32_t{NumberAt<uint16_t>(numbers, index)} << 16);
    case DType::kI8:
      return NumberAt<int8_t>(numbers, index);
  }
  return 0;
}

// A row of W: element k is number `first + k * step` of its source.
struct Row {
  const PackedMatrix::Rows* source = nullptr;
  int64_t index = 0;  // in the source
  int64_t first = 0;
  int64_t step = 0;
};

// The 16 rows of a panel; those beyond `out` have no source.
std::array<Row, kPanelColumns> RowsOf(const std::vector<PackedMatrix::Rows>& sources,
                                      int64_t first_row, int64_t in, int64_t panel) {
  std::array<Row, kPanelColumns> rows;
  int64_t begin = first_row;  // of a source, in rows of W
  for (const PackedMatrix::Rows& source : sources) {
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const int64_t index = panel * kPanelColumns + c - begin;
      if (index < 0 || index >= source.count) continue;
      rows[c] = {&source, index, source.transposed ? index : index * in,
                 source.transposed ? source.count : 1};
    }
    begin += source.count;
  }
  return rows;
}

bool AreFinite(const float* values) {
  uint32_t bad = 0;
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    bad |= (std::bit_cast<uint32_t>(values[c]) & 0x7f800000u) == 0x7f800000u;
  }
  return bad == 0;
}

// The common case, kept apart so that its loop is tight: 16 rows of 32-bit floats side by side.
bool PackF32(const std::array<Row, kPanelColumns>& rows, int64_t in, float* to) {
  std::array<const char*, kPanelColumns> from;
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    from[c] = static_cast<const char*>(rows[c].source->numbers) + rows[c].first * sizeof(float);
  }
  bool finite = true;
  for (int64_t k = 0; k < in; ++k, to += kPanelColumns) {
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      std::memcpy(to + c, from[c] + k * sizeof(float), sizeof(float));
    }
    finite &= AreFinite(to);
  }
  return finite;
}

}  // namespace

PackedMatrix::PackedMatrix(int64_t out, int64_t in)
    : out_(out), in_(in), floats_(num_panels() * kPanelColumns * in) {}

PackedMatrix::PackedMatrix(int64_t out, int64_t in, StepsTogether together)
    : out_(out), in_(in), together_(together), numbers_(num_panels() * PanelBytes()) {}

bool PackedMatrix::Pack(const std::vector<Rows>& sources, int64_t first_row, int64_t begin,
                        int64_t end) {
  bool finite = true;
  for (int64_t panel = begin; panel < end; ++panel) {
    finite &= !quantized() ? PackFloats(sources, first_row, panel)
              : together_ == StepsTogether::kFour
                  ? PackNumbers<StepsTogether::kFour>(sources, first_row, panel)
                  : PackNumbers<StepsTogether::kTwo>(sources, first_row, panel);
  }
  return finite;
}

bool PackedMatrix::PackFloats(const std::vector<Rows>& sources, int64_t first_row, int64_t panel) {
  const auto rows = RowsOf(sources, first_row, in_, panel);
  float* to = floats_.data() + panel * in_ * kPanelColumns;
  bool plain = true;
  for (const Row& row : rows) {
    plain &= row.source != nullptr && row.source->type == DType::kF32 && row.step == 1;
  }
  if (plain) return PackF32(rows, in_, to);
  bool finite = true;
  for (int64_t k = 0; k < in_; ++k, to += kPanelColumns) {
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const Row& row = rows[c];
      if (row.source == nullptr) continue;
      to[c] = FloatAt(row.source->type, row.source->numbers, row.first + k * row.step);
    }
    finite &= AreFinite(to);
  }
  return finite;
}

template <StepsTogether kTogether>
bool PackedMatrix::PackNumbers(const std::vector<Rows>& sources, int64_t first_row, int64_t panel) {
  const auto rows = RowsOf(sources, first_row, in_, panel);
  uint8_t* numbers = numbers_.data() + panel * PanelBytes();
  uint8_t* scales = numbers + groups() * kGroupBytes;
  bool finite = true;
  for (int64_t group = 0; group < groups(); ++group, numbers += kGroupBytes) {
    const int64_t begin = group * kQuantizationGroup;
    const int64_t steps = std::min(kQuantizationGroup, in_ - begin);
    for (int64_t c = 0; c < kPanelColumns; ++c, scales += sizeof(uint16_t)) {
      const Row& row = rows[c];
      if (row.source == nullptr) continue;
      const model::MatrixLayout layout{row.source->count, in_, row.source->transposed};
      const auto scale = NumberAt<uint16_t>(row.source->scales, layout.ScaleAt(row.index, group));
      finite &= (scale & 0x7c00) != 0x7c00;
      std::memcpy(scales, &scale, sizeof(scale));
      for (int64_t i = 0; i < steps; ++i) {
        numbers[NumberOffset<kTogether>(i, c)] = static_cast<uint8_t>(
            NumberAt<uint8_t>(row.source->numbers, row.first + (begin + i) * row.step) +
            kAdded<kTogether>);
      }
    }
  }
  return finite;
}

template <StepsTogether kTogether>
void PackedMatrix::CopyNumbers(int64_t row, float* to) const {
  const int64_t c = row % kPanelColumns;
  const uint8_t* numbers = Numbers(row / kPanelColumns);
  const uint16_t* scales = Scales(row / kPanelColumns) + c;
  for (int64_t begin = 0; begin < in_; begin += kQuantizationGroup) {
    const float scale = model::HalfToFloat(*scales);
    for (int64_t i = 0; i < std::min(kQuantizationGroup, in_ - begin); ++i) {
      const auto number = static_cast<int8_t>(
          static_cast<uint8_t>(numbers[NumberOffset<kTogether>(i, c)] - kAdded<kTogether>));
      to[begin + i] = static_cast<float>(number) * scale;
    }
    numbers += kGroupBytes;
    scales += kPanelColumns;
  }
}

void PackedMatrix::CopyRow(int64_t row, float* to) const {
  if (quantized()) {
    return together_ == StepsTogether::kFour ? CopyNumbers<StepsTogether::kFour>(row, to)
                                             : CopyNumbers<StepsTogether::kTwo>(row, to);
  }
  const float* from = Panel(row / kPanelColumns) + row % kPanelColumns;
  for (int64_t k = 0; k < in_; ++k) to[k] = from[k * kPanelColumns];
}

}  // namespace floe::inference
