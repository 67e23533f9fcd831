// Ranges and exact sums of columns, threaded over the rows.
#pragma once

#include <cstdint>

namespace codeword {

// low (d) and high (d) of n >= 1 rows; a zero is +0.
void column_range(const float* x, int64_t stride, int64_t n, int64_t d, float* low, float* high);

// The sums (3, d) of kernels.h over n <= 2^26 rows.
void column_sums(const float* x, int64_t stride, int64_t n, int64_t d, const double* shift, const double* scale,
                 double* sums);

}  // namespace codeword
