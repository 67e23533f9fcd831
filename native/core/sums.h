// Norms and inner products of rows and their reconstructions about a mean, over threads; sums in lane order.
#pragma once

#include <cstdint>

namespace codeword {

// out (n, 3) = <a, a>, <a, b>, <x, x> for rows x and y (n, d), a = x - mean, b = y - mean; lane order.
void centred_sums(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out);

// out (n): sums of a (n, d), and of its products with b (n, d), or (d) for all rows where `shared`; lane order.
void lane_sums(const double* a, int64_t n, int64_t d, double* out);
void lane_dots(const double* a, const double* b, bool shared, int64_t n, int64_t d, double* out);

}  // namespace codeword
