// See sums.h.
#include "core/sums.h"

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {

void centred_sums(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(8 * d), [&](int64_t begin, int64_t end) {
    table.centred_sums(x + begin * d, y + begin * d, mean, end - begin, d, out + 3 * begin);
  });
}

}  // namespace codeword
