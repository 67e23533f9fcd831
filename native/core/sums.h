// Norms and inner products of rows and their reconstructions about a mean, over threads.
#pragma once

#include <cstdint>

namespace codeword {

// out (n, 3) = <a, a>, <a, b>, <x, x> for rows x and y (n, d), a = x - mean, b = y - mean; lane order.
void centred_sums(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out);

}  // namespace codeword
