// Inner products and squared distances of all pairs of two sets of rows, threaded over the first.
#pragma once

#include <cstdint>

namespace codeword {

// out (n, k) float64 for a (n, d) and b (k, d), in lane order.
void pairwise_dot(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out);
void pairwise_sqdist(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out);

}  // namespace codeword
