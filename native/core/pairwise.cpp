// See pairwise.h.
#include "core/pairwise.h"

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {

void pairwise_dot(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(8 * k * d), [&](int64_t begin, int64_t end) {
    table.pairwise_dot(a + begin * d, end - begin, b, k, d, out + begin * k);
  });
}

void pairwise_sqdist(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(8 * k * d), [&](int64_t begin, int64_t end) {
    table.pairwise_sqdist(a + begin * d, end - begin, b, k, d, out + begin * k);
  });
}

}  // namespace codeword
