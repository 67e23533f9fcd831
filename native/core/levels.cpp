// See levels.h.
#include "core/levels.h"

#include <algorithm>
#include <vector>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kTileRows = 64;

// The width that all d coordinates have, or 0.
int common_width(const LevelLayout& layout) {
  const bool same = std::all_of(layout.bits, layout.bits + layout.d, [&](uint8_t b) { return b == layout.bits[0]; });
  return same ? layout.bits[0] : 0;
}

// Coordinates that take room, and their widths.
struct Used {
  std::vector<int64_t> columns;
  std::vector<uint8_t> bits;

  explicit Used(const LevelLayout& layout) {
    for (int64_t j = 0; j < layout.d; ++j) {
      if (layout.bits[j] == 0) continue;
      columns.push_back(j);
      bits.push_back(layout.bits[j]);
    }
  }
  int64_t m() const { return static_cast<int64_t>(columns.size()); }
};

template <int kBits>
void pack_row(const uint8_t* indices, int64_t d, uint8_t* code) {
  constexpr int64_t kFields = 8 / kBits;
  int64_t j = 0;
  for (; j + kFields <= d; j += kFields) {
    int byte = 0;
    for (int t = 0; t < kFields; ++t) byte |= indices[j + t] << (kBits * t);
    *code++ = static_cast<uint8_t>(byte);
  }
  int byte = 0;
  for (int t = 0; j + t < d; ++t) byte |= indices[j + t] << (kBits * t);
  if (j < d) *code = static_cast<uint8_t>(byte);
}

void pack_rows(int width, const uint8_t* indices, int64_t n, int64_t d, int64_t size, uint8_t* codes) {
  for (int64_t i = 0; i < n; ++i) {
    if (width == 1) pack_row<1>(indices + i * d, d, codes + i * size);
    if (width == 2) pack_row<2>(indices + i * d, d, codes + i * size);
    if (width == 4) pack_row<4>(indices + i * d, d, codes + i * size);
  }
}

template <int kBits>
void decode_row(const uint8_t* code, int64_t d, const float* levels, int64_t k, float* row) {
  constexpr int64_t kFields = 8 / kBits;
  constexpr int kMask = (1 << kBits) - 1;
  for (int64_t j = 0; j < d; ++j) row[j] = levels[j * k + (code[j / kFields] >> (kBits * (j % kFields)) & kMask)];
}

bool whole_fields(int width) { return width == 1 || width == 2 || width == 4 || width == 8; }

}  // namespace

int64_t LevelLayout::code_size() const {
  int64_t total = 0;
  for (int64_t j = 0; j < d; ++j) total += bits[j];
  return (total + 7) / 8;
}

void encode_levels(const LevelLayout& layout, const NearestLevel& nearest, const float* rows, int64_t n,
                   uint8_t* codes) {
  const Kernels& table = kernels();
  const int64_t d = layout.d, size = layout.code_size(), step = (d + 63) / 64 * 64;
  const int width = common_width(layout);
  const Used used(layout);
  const auto find = [&](const float* x, int64_t count, uint8_t* indices) {
    if (nearest.affine) {
      table.nearest_even(x, count, d, nearest.affine, step, nearest.thresholds, indices);
    } else {
      table.nearest_sorted(x, count, d, nearest.coarse, nearest.few ? nullptr : nearest.thresholds, indices);
    }
  };
  parallel_rows(n, rows_per_chunk(4 * d), [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> indices(kTileRows * d);
    std::vector<uint32_t> wide(whole_fields(width) ? 0 : kTileRows * used.m());
    for (int64_t i = begin; i < end; i += kTileRows) {
      const int64_t count = std::min(kTileRows, end - i);
      uint8_t* code = codes + i * size;
      find(rows + i * d, count, width == 8 ? code : indices.data());
      if (width == 8) continue;
      if (whole_fields(width)) {
        pack_rows(width, indices.data(), count, d, size, code);
        continue;
      }
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t j = 0; j < used.m(); ++j) wide[r * used.m() + j] = indices[r * d + used.columns[j]];
      }
      table.pack_bits(wide.data(), used.bits.data(), count, used.m(), size, code);
    }
  });
}

void decode_levels(const LevelLayout& layout, const float* levels, int64_t k, const uint8_t* codes, int64_t n,
                   float* rows) {
  const Kernels& table = kernels();
  const int64_t d = layout.d, size = layout.code_size();
  const int width = common_width(layout);
  const Used used(layout);
  parallel_rows(n, rows_per_chunk(4 * d), [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> wide(whole_fields(width) ? 0 : used.m());
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* code = codes + i * size;
      float* row = rows + i * d;
      if (width == 8) decode_row<8>(code, d, levels, k, row);
      if (width == 4) decode_row<4>(code, d, levels, k, row);
      if (width == 2) decode_row<2>(code, d, levels, k, row);
      if (width == 1) decode_row<1>(code, d, levels, k, row);
      if (whole_fields(width)) continue;
      table.unpack_bits(code, used.bits.data(), 1, used.m(), size, wide.data());
      for (int64_t j = 0; j < d; ++j) row[j] = levels[j * k];  // those of 0 bits
      for (int64_t j = 0; j < used.m(); ++j) row[used.columns[j]] = levels[used.columns[j] * k + wide[j]];
    }
  });
}

}  // namespace codeword
