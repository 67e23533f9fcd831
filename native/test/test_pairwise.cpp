// pairwise_dot and pairwise_sqdist against sums in lane order written out.
#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

template <class Term>
double lane_order(int64_t d, Term term) {
  double a[8] = {};
  for (int64_t i = 0; i < d; ++i) a[i % 8] += term(i);
  const double b[4] = {a[0] + a[4], a[1] + a[5], a[2] + a[6], a[3] + a[7]};
  return (b[0] + b[2]) + (b[1] + b[3]);
}

}  // namespace

TEST(pairwise_dot) {
  for (int64_t d : {1, 7, 8, 9, 31, 64, 100}) {
    const std::vector<float> a = random_floats(3 * d, 1), b = random_floats(5 * d, 2);
    std::vector<double> out(15);
    kernels().pairwise_dot(a.data(), 3, b.data(), 5, d, out.data());
    for (int64_t i = 0; i < 15; ++i) {
      const float *x = &a[i / 5 * d], *y = &b[i % 5 * d];
      CHECK(out[i] == lane_order(d, [&](int64_t j) { return double(x[j]) * double(y[j]); }));
    }
  }
}

TEST(pairwise_sqdist) {
  for (int64_t d : {1, 7, 8, 9, 31, 64, 100}) {
    const std::vector<float> a = random_floats(3 * d, 1), b = random_floats(5 * d, 2);
    std::vector<double> out(15);
    kernels().pairwise_sqdist(a.data(), 3, b.data(), 5, d, out.data());
    for (int64_t i = 0; i < 15; ++i) {
      const float *x = &a[i / 5 * d], *y = &b[i % 5 * d];
      CHECK(out[i] == lane_order(d, [&](int64_t j) {
              const double difference = double(x[j]) - double(y[j]);
              return difference * difference;
            }));
    }
  }
}

}  // namespace codeword::test
