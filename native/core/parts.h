// How a codebook is cut up before an ISA prepares it, so that the bounds of its filters are tight.
#pragma once

#include <cstdint>
#include <vector>

namespace codeword {

// Numbers of the codewords (k, d) that no earlier one equals bit for bit. Among many equal codewords no filter can
// choose, and only the first can win.
template <class T>
std::vector<int32_t> distinct_codewords(const T* codewords, int64_t k, int64_t d);

// `numbers`, cut into parts of codewords that lie about equally far from the mean of their part: a filter's bound grows
// with the farthest of them. Most codebooks are one part; one with outliers is two.
std::vector<std::vector<int32_t>> parts_of_like_norm(const float* codewords, int64_t d, std::vector<int32_t> numbers);

}  // namespace codeword
