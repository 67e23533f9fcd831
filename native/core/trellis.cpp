// See trellis.h.
#include "core/trellis.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/rows.h"
#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kCostsPerGrid = 1024 * 256;

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void check(const Trellis::Arrays& a, int window, int warm) {
  require(window >= 8 && window <= 16, "window must be from 8 to 16");
  require(a.folds.size() == 256, "folds must have 256 entries");
  require(!a.widths.empty() && a.firsts.size() == a.widths.size() + 1, "firsts must have one entry more than widths");
  for (uint8_t width : a.widths) require(width >= 1 && width <= 6, "widths must be from 1 to 6");
  require(warm >= 0 && warm <= 4096, "warm must be from 0 to 4096");
  const size_t coordinates = a.columns.size();
  require(a.firsts.front() == 0 && std::is_sorted(a.firsts.begin(), a.firsts.end()) &&
              static_cast<size_t>(a.firsts.back()) == coordinates,
          "firsts must rise from 0 to the number of coordinates");
  require(a.tables.size() == coordinates && a.grids.size() == coordinates && a.means.size() == coordinates &&
              a.inverses.size() == coordinates && a.scales.size() == coordinates,
          "columns, tables, grids, means, inverses and scales must be equally long");
  const size_t tables = a.values.size() / 256;
  require(tables * 256 == a.values.size(), "values must have 256 entries a table");
  for (uint8_t table : a.tables) require(table < tables, "tables must name one of the values");
  const size_t grids = a.costs.size() / kCostsPerGrid;
  require(grids * kCostsPerGrid == a.costs.size(), "costs must have 1024 rows of 256 a grid");
  for (uint8_t grid : a.grids) require(grid < grids, "grids must name one of the costs");
  for (int32_t column : a.columns) {
    require(column >= 0 && static_cast<size_t>(column) < a.fill.size(), "columns must be below d");
  }
}

}  // namespace

Trellis::Trellis(Arrays arrays, int window, int warm) : arrays_(std::move(arrays)) {
  check(arrays_, window, warm);
  const Arrays& a = arrays_;
  int64_t bits = 0;
  for (uint8_t width : a.widths) bits += width;
  require(bits % 8 == 0, "widths must sum to a multiple of 8");
  require(bits >= window, "the code must have at least `window` bits");
  code_ = {.d = static_cast<int64_t>(a.fill.size()),
           .steps = static_cast<int64_t>(a.widths.size()),
           .coordinates = static_cast<int64_t>(a.columns.size()),
           .code_size = bits / 8,
           .window = window,
           .warm = warm,
           .folds = a.folds.data(),
           .widths = a.widths.data(),
           .firsts = a.firsts.data(),
           .columns = a.columns.data(),
           .tables = a.tables.data(),
           .grids = a.grids.data(),
           .means = a.means.data(),
           .inverses = a.inverses.data(),
           .scales = a.scales.data(),
           .values = a.values.data(),
           .costs = a.costs.data(),
           .fill = a.fill.data(),
           .reader = nullptr};
  const Kernels& table = kernels();
  reader_ = allocate_aligned(table.trellis_prepare(code_, nullptr));
  table.trellis_prepare(code_, reader_.get());
  code_.reader = reader_.get();
  ends_.resize(a.columns.size());
  int32_t end = 0;
  for (size_t t = 0; t < a.widths.size(); ++t) {
    end += a.widths[t];
    std::fill(ends_.begin() + a.firsts[t], ends_.begin() + a.firsts[t + 1], end);
  }
}

// Coordinate j of a code, by itself.
float Trellis::value(const uint8_t* code, int64_t j) const {
  const int64_t size = code_.code_size, first = ends_[j] - 16, byte = (first + 8 * size) / 8 - size;
  uint32_t bits = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t at = byte + i, turns = at < 0 ? at + 2 * size : at;
    bits |= static_cast<uint32_t>(code[turns % size]) << (8 * i);
  }
  bits >>= first & 7;
  const uint32_t index = (bits >> 8 & 255) ^ code_.folds[bits & 255];
  return static_cast<float>(code_.values[code_.tables[j] * 256 + index]) * code_.scales[j] + code_.means[j];
}

void Trellis::gather(const Grid& grid, const int64_t* numbers, int64_t n, float* x) const {
  const int64_t height = code_.coordinates / grid.tile;
  parallel_rows(n, rows_per_chunk(16 * grid.columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* code = grid.codes + numbers[i] / height * grid.blocks * code_.code_size;
      const int64_t first = numbers[i] % height * grid.tile;
      for (int64_t j = 0; j < grid.columns; ++j) {
        x[i * grid.columns + j] = value(code + j / grid.tile * code_.code_size, first + j % grid.tile);
      }
    }
  });
}

void Trellis::encode(const float* x, int64_t n, uint8_t* codes) const {
  const Kernels& table = kernels();
  const int64_t scratch = table.trellis_encode(code_, nullptr, 0, nullptr, nullptr);
  const int64_t rows = code_.window <= 10 ? 128 : 32;  // a call fills tables, which takes as long as two quick rows
  parallel_rows(n, rows, [&](int64_t begin, int64_t end) {
    table.trellis_encode(code_, x + begin * code_.d, end - begin, codes + begin * code_.code_size,
                         thread_scratch(scratch));
  });
}

void Trellis::decode(const uint8_t* codes, int64_t n, float* x) const {
  const Kernels& table = kernels();
  const int64_t scratch = table.trellis_decode(code_, nullptr, 0, nullptr, nullptr);
  parallel_rows(n, rows_per_chunk(4 * code_.d), [&](int64_t begin, int64_t end) {
    table.trellis_decode(code_, codes + begin * code_.code_size, end - begin, x + begin * code_.d,
                         thread_scratch(scratch));
  });
}

}  // namespace codeword
