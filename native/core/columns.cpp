// See columns.h.
#include "core/columns.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {

void column_range(const float* x, int64_t stride, int64_t n, int64_t d, float* low, float* high) {
  const Kernels& table = kernels();
  std::copy(x, x + d, low);
  std::copy(x, x + d, high);
  std::mutex mutex;
  parallel_rows(n, rows_per_chunk(4 * d), [&](int64_t begin, int64_t end) {
    std::vector<float> least(x, x + d), most(x, x + d);
    table.column_range(x + begin * stride, stride, end - begin, d, least.data(), most.data());
    std::lock_guard lock(mutex);
    for (int64_t j = 0; j < d; ++j) {
      low[j] = std::min(low[j], least[j]);
      high[j] = std::max(high[j], most[j]);
    }
  });
  // The order of rows may have left -0 or +0.
  for (int64_t j = 0; j < d; ++j) {
    low[j] += 0.0f;
    high[j] += 0.0f;
  }
}

void column_sums(const float* x, int64_t stride, int64_t n, int64_t d, const double* shift, const double* scale,
                 double* sums) {
  const Kernels& table = kernels();
  std::fill(sums, sums + 3 * d, 0.0);
  std::mutex mutex;
  parallel_rows(n, rows_per_chunk(4 * d), [&](int64_t begin, int64_t end) {
    std::vector<double> part(static_cast<size_t>(3 * d));
    table.column_sums(x + begin * stride, stride, end - begin, d, shift, scale, part.data());
    std::lock_guard lock(mutex);
    for (int64_t j = 0; j < 3 * d; ++j) sums[j] += part[j];
  });
}

}  // namespace codeword
