// See sums.h.
#include "core/sums.h"

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kLanes = 8;

// The sum of term(0) ... term(d - 1) in lane order.
template <class Term>
double lane_sum(int64_t d, const Term& term) {
  double a[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) a[l] += term(j + l);
  }
  for (int64_t l = 0; j < d; ++j, ++l) a[l] += term(j);
  const double b[4] = {a[0] + a[4], a[1] + a[5], a[2] + a[6], a[3] + a[7]};
  return (b[0] + b[2]) + (b[1] + b[3]);
}

}  // namespace

void lane_sums(const double* a, int64_t n, int64_t d, double* out) {
  parallel_rows(n, rows_per_chunk(8 * d), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = lane_sum(d, [row = a + i * d](int64_t j) { return row[j]; });
  });
}

void lane_dots(const double* a, const double* b, bool shared, int64_t n, int64_t d, double* out) {
  parallel_rows(n, rows_per_chunk(16 * d), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double *x = a + i * d, *y = shared ? b : b + i * d;
      out[i] = lane_sum(d, [x, y](int64_t j) { return x[j] * y[j]; });
    }
  });
}

void centred_sums(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(8 * d), [&](int64_t begin, int64_t end) {
    table.centred_sums(x + begin * d, y + begin * d, mean, end - begin, d, out + 3 * begin);
  });
}

}  // namespace codeword
