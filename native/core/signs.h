// Scores of sign codes, a bit a coordinate, and the two ways of making codes in which a row's direction is kept.
#pragma once

#include <cstdint>
#include <vector>

#include "core/codebooks.h"

namespace codeword {

// Whole weights of queries, and tables of their sums. A row of code and its side bytes scores
//   max(((float32(sum of the weights of set bits) * scale + bias) * factor + term) + after, floor)
// where the side bytes b0 and b1, which follow the signs, select factor = first[b0] * second[b1] and term = terms[b0].
class Signs {
 public:
  // weights (q, d); the absolute weights of each eight coordinates that share a byte sum to at most 127.
  Signs(const int8_t* weights, int64_t q, int64_t d);

  struct Scores {
    const float *scale, *bias, *after;    // (q)
    const float *first, *second, *terms;  // (256)
    float floor;
  };
  // codes (n, signs_size() + 2); out (q, n).
  void scan(const uint8_t* codes, int64_t n, const Scores& scores, float* out) const;

  int64_t q() const { return q_; }
  int64_t signs_size() const { return count_; }

 private:
  void scan_group(int64_t first, const uint8_t* codes, int64_t n, const Scores& scores, int32_t* sums, float* out,
                  int64_t step) const;
  void scan_one(int64_t l, const uint8_t* codes, int64_t n, const Scores& scores, int32_t* sums, float* out) const;

  int64_t q_, count_, padded_, grouped_;  // the first `grouped_` queries are in groups of 64, or of what is left
  AlignedBytes lines_;                    // (groups, count, 256, 64) bytes
  std::vector<int16_t> tables_;           // (others, count, 256)
  std::vector<int8_t> weights_;           // (others, padded)
};

// codes (n, stride), the first (d + 7) / 8 bytes of each row written; sums (n, 2). See kernels/signs.h.
void sign_codes(const float* x, int64_t n, int64_t d, uint8_t* codes, int64_t stride, double* sums);
// indices (n, d), sums (n, 2). See kernels/grid.h.
void grid_codes(const float* x, int64_t n, int64_t d, int bits, uint8_t* indices, double* sums);

}  // namespace codeword
