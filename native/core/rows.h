// Row blocks for parallel loops: block sizes depend on the work a row is, never on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace codeword {

// Rows a chunk such that one chunk touches about 256 KiB.
inline int64_t rows_per_chunk(int64_t bytes_per_row) {
  return std::max<int64_t>(1, (int64_t(1) << 18) / std::max<int64_t>(1, bytes_per_row));
}

}  // namespace codeword
