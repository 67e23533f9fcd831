// Bitshift trellis codes over rows and threads. Layout and definition: TrellisCode in kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "core/codebooks.h"
#include "kernels.h"

namespace codeword {

// A TrellisCode with the arrays that it points to.
class Trellis {
 public:
  // The arrays of a TrellisCode; sizes are those that it states.
  struct Arrays {
    std::vector<uint8_t> folds, widths;
    std::vector<int32_t> firsts, columns;
    std::vector<uint8_t> tables, grids;
    std::vector<float> means, inverses, scales, fill;
    std::vector<int16_t> values;
    std::vector<uint8_t> costs;
  };

  // Throws std::invalid_argument where the arrays do not fit together.
  Trellis(Arrays arrays, int window, int warm);

  void encode(const float* x, int64_t n, uint8_t* codes) const;
  void decode(const uint8_t* codes, int64_t n, float* x) const;

  // Rows `numbers` (n) of a matrix (bands * height, columns), x (n, columns), whose pieces of `height` rows by `tile`
  // columns, row by row, are codes (bands, blocks, code_size). height * tile is d; columns <= blocks * tile.
  struct Grid {
    const uint8_t* codes;
    int64_t blocks, tile, columns;
  };
  void gather(const Grid& grid, const int64_t* numbers, int64_t n, float* x) const;

  int64_t d() const { return code_.d; }
  int64_t code_size() const { return code_.code_size; }
  int64_t tables() const { return static_cast<int64_t>(arrays_.values.size()) / 256; }
  const TrellisCode& code() const { return code_; }

 private:
  float value(const uint8_t* code, int64_t j) const;

  Arrays arrays_;
  std::vector<int32_t> ends_;  // (coordinates) of the window of each, in bits of the code
  TrellisCode code_;
  AlignedBytes reader_;
};

}  // namespace codeword
