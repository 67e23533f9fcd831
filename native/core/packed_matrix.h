// Rows times a matrix that stays trellis codes. Layout: TrellisMatrix in kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "core/codebooks.h"
#include "core/rotation.h"
#include "core/trellis.h"
#include "kernels.h"

namespace codeword {

// A matrix (rows, columns) in bands of as many rows as the code has groups of four coordinates, prepared for one ISA.
class PackedMatrix {
 public:
  // values (tables, 256), periods (2) as in TrellisMatrix; copied. The code must live as long. Throws
  // std::invalid_argument where they do not fit.
  PackedMatrix(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods, int64_t rows,
               int64_t columns);

  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t bands() const { return bands_; }
  int64_t blocks() const { return blocks_; }
  int64_t code_size() const { return code_.code_size; }

  // sums (n, rows) of int8 x (n, columns) times (level - 128), modulo 2^32; codes (bands, blocks, code_size).
  void sums(const uint8_t* codes, const int8_t* x, int64_t n, int32_t* sums) const;

  // What stands around the matrix; null where there is nothing.
  struct Around {
    const Rotation* input;   // of the columns
    const Rotation* output;  // of the rows
    float unit;              // of a level
    const float* factors;    // (rows) of the results
  };
  // y (n, rows): x (n, columns) rotated, rounded to bytes (round_rows), multiplied, times their scale and `unit`,
  // rotated back, times `factors`. Every result depends on its own row of x only.
  void multiply(const uint8_t* codes, const float* x, int64_t n, const Around& around, float* y) const;

 private:
  struct Rounded;
  void products(const uint8_t* codes, const Rounded& x, int64_t n, int32_t* to, int64_t step) const;
  void band(const uint8_t* codes, int64_t band, const int8_t* x, int64_t n, int32_t* to, int64_t step) const;

  const Kernels* kernels_;
  const TrellisCode& code_;
  std::vector<uint8_t> values_;
  int64_t rows_, columns_, height_, bands_, blocks_, stride_;
  TrellisMatrix matrix_;
  AlignedBytes storage_;
};

}  // namespace codeword
