// Exact sums of rows by label (accumulate_fn, accumulate_wide_fn), threaded.
#pragma once

#include <cstdint>

namespace codeword {

template <class T>
struct Accumulate {
  const T* x;  // (n, d), rows x_stride numbers apart
  int64_t n, d, x_stride;
  const int32_t *labels, *old_labels;  // (n) below k; old_labels may be null
  const T* weights;                    // (n), or null for 1
  const int32_t* exponents;            // (d): column j is in units of 2^-exponents[j]
  int32_t weight_exponent;             // counts are in units of 2^-weight_exponent
  int64_t k;
  int64_t *sums, *counts;  // (k, d), (k)
};

// Adds to sums and counts; given old_labels, only moves the rows whose label changed.
void accumulate(const Accumulate<float>& job);
void accumulate(const Accumulate<double>& job);

// farthest[labels[i]] = first + i and largest[labels[i]] = losses[i] where that is larger, for i < n in order: of equal
// losses the first stays.
void keep_farthest(const int32_t* labels, const double* losses, int64_t n, int64_t first, double* largest,
                   int64_t* farthest);

}  // namespace codeword
