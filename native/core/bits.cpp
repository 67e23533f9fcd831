// See bits.h.
#include "core/bits.h"

#include <numeric>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {

int64_t packed_size(const uint8_t* bits, int64_t m) { return (std::accumulate(bits, bits + m, int64_t(0)) + 7) / 8; }

void pack_bits(const uint32_t* indices, const uint8_t* bits, int64_t n, int64_t m, uint8_t* codes) {
  const Kernels& table = kernels();
  const int64_t size = packed_size(bits, m);
  parallel_rows(n, rows_per_chunk(4 * m + size), [&](int64_t begin, int64_t end) {
    table.pack_bits(indices + begin * m, bits, end - begin, m, size, codes + begin * size);
  });
}

void unpack_bits(const uint8_t* codes, const uint8_t* bits, int64_t n, int64_t m, uint32_t* indices) {
  const Kernels& table = kernels();
  const int64_t size = packed_size(bits, m);
  parallel_rows(n, rows_per_chunk(4 * m + size), [&](int64_t begin, int64_t end) {
    table.unpack_bits(codes + begin * size, bits, end - begin, m, size, indices + begin * m);
  });
}

}  // namespace codeword
