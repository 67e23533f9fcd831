// A batch of queries against bitshift trellis codes. Definitions: TrellisScan and trellis_dot_fn in kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "core/codebooks.h"
#include "core/trellis.h"
#include "kernels.h"

namespace codeword {

// int8 weights of any number of queries, prepared for one ISA.
class TrellisQueries {
 public:
  // values (tables, 256), periods (2), weights (queries, coordinates), order and rise (blocks of 64 coordinates) as in
  // TrellisScan; copied. The code must live as long. Throws std::invalid_argument where they do not fit.
  TrellisQueries(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods,
                 std::vector<int8_t> weights, int64_t queries, std::vector<int32_t> order, std::vector<uint8_t> rise);

  TrellisQueries(const TrellisQueries&) = delete;
  TrellisQueries& operator=(const TrellisQueries&) = delete;

  // out (queries, n): sum * scale[l] + bias[l], multiply and add rounded apart.
  void scan(const uint8_t* codes, int64_t n, const float* scale, const float* bias, float* out) const;

  int64_t queries() const { return queries_; }
  int64_t code_size() const { return code_.code_size; }

 private:
  const Kernels* kernels_;
  const TrellisCode& code_;
  std::vector<uint8_t> values_;
  std::vector<int8_t> weights_;
  int64_t queries_;
  std::vector<int32_t> order_;
  std::vector<uint8_t> rise_;
  TrellisScan scan_;
  AlignedBytes storage_;
};

// sums (queries, n): inner products of int16 weights (queries, coordinates) with the values of all codes (n,
// code_size); or, `each`, with those of n codes of its own for each query (queries, n, code_size).
void trellis_products(const Trellis& code, const uint8_t* codes, int64_t n, bool each, const int16_t* weights,
                      int64_t queries, int64_t* sums);

}  // namespace codeword
