// See descent.h.
#include "core/descent.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr double kU32 = 0x1p-24, kU64 = 0x1p-53;  // unit roundoffs

double dot(const float* a, const float* b, int64_t d) {
  double out = 0;
  kernels().pairwise_dot(a, 1, b, 1, d, &out);
  return out;
}

// docs/exactness.md, Trees: the error of the float32 product, of the exact form, and underflow.
DescendBound bound_of(double left_norm, double right_norm, double difference_norm, int64_t d) {
  const double dd = static_cast<double>(d), norm = std::sqrt(std::max(left_norm, right_norm));
  const double exact = 1.01 * kU64 * (dd / 8 + 9), product = 1.01 * kU32 * (dd / 8 + 16);
  const double underflow = (dd + 16) * 0x1p-120;
  DescendBound bound;
  bound.threshold = (right_norm - left_norm) / 2;
  bound.base = 2 * exact * norm * norm + underflow;
  bound.per_norm = product * difference_norm + 4 * exact * norm + underflow;
  if (!(difference_norm < 0x1p60)) bound.per_norm = std::numeric_limits<double>::infinity();
  return bound;
}

}  // namespace

Descent::Descent(const float* codewords, const int32_t* children, int64_t pairs, int64_t d)
    : d_(d),
      codewords_(codewords, codewords + 2 * pairs * d),
      differences_(static_cast<size_t>(pairs * d)),
      norms_(static_cast<size_t>(2 * pairs)),
      bounds_(static_cast<size_t>(pairs)),
      children_(children, children + 2 * pairs) {
  parallel_rows(pairs, rows_per_chunk(12 * d), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float *left = &codewords_[2 * p * d], *right = left + d;
      float* difference = &differences_[p * d];
      for (int64_t i = 0; i < d; ++i) difference[i] = right[i] - left[i];
      norms_[2 * p] = dot(left, left, d);
      norms_[2 * p + 1] = dot(right, right, d);
      bounds_[p] = bound_of(norms_[2 * p], norms_[2 * p + 1], std::sqrt(dot(difference, difference, d)), d);
    }
  });
}

void Descent::run(const float* x, int64_t n, int64_t x_stride, const int32_t* first, int32_t* labels,
                  double* distances) const {
  const Kernels& table = kernels();
  const DescendTree tree = {
      d_, codewords_.data(), differences_.data(), norms_.data(), bounds_.data(), children_.data()};
  parallel_rows(n, std::max<int64_t>(64, rows_per_chunk(4 * d_)), [&](int64_t begin, int64_t end) {
    const DescendRows rows = {x + begin * x_stride, x_stride, first ? first + begin : nullptr, labels + begin,
                              distances ? distances + begin : nullptr};
    table.descend(tree, rows, end - begin);
  });
}

}  // namespace codeword
