// Exact sums of float64 numbers, in the order of nothing: Neal 2015, "Fast exact summation using small and large
// superaccumulators" (the small one, for numbers of at least 0).
#pragma once

#include <cstdint>

namespace codeword {

// Digit i counts 2^(32 i - 1074): all finite doubles, 2^62 of the largest at least.
constexpr int64_t kTotalDigits = 68;

// Adds values[i] * weights[i] (rounded to float64; weights may be null for 1), each finite and at least 0, to `digits`
// (kTotalDigits), which are left from 0 to 2^32 - 1.
void add_to_total(const double* values, const float* weights, int64_t n, int64_t* digits);

}  // namespace codeword
