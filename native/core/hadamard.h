// Walsh-Hadamard transform of the rows of a matrix over threads.
#pragma once

#include <cstdint>

namespace codeword {

// Transforms n rows of `length` = 2^p floats in place; unnormalised.
void hadamard(float* rows, int64_t n, int64_t length);

}  // namespace codeword
