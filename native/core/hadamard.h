// Walsh-Hadamard transform of the rows of a matrix, or of some of their columns, over threads.
#pragma once

#include <cstdint>

namespace codeword {

// Transforms n rows of `length` = 2^p floats in place; unnormalised.
void hadamard(float* rows, int64_t n, int64_t length);

// Columns of n rows of d floats, in place.
struct HadamardWindow {
  float* rows;
  int64_t n, d, start, length;  // length: 2^p
};
// Multiplies each column of the window by its sign, before (`signs_first`) or after the transform.
void hadamard_signed(const HadamardWindow& window, const float* signs, bool signs_first);

}  // namespace codeword
