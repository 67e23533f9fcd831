// column_range and column_sums against plain loops.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/columns.h"
#include "dispatch.h"

namespace codeword::test {

TEST(column_range) {
  for (int64_t d : {1, 5, 8, 16, 37}) {
    const int64_t n = 211, stride = d + 2;
    const std::vector<float> x = random_floats(n * stride, static_cast<uint32_t>(d));
    std::vector<float> low(d), high(d);
    column_range(x.data(), stride, n, d, low.data(), high.data());
    for (int64_t j = 0; j < d; ++j) {
      float least = x[j], most = x[j];
      for (int64_t i = 0; i < n; ++i) {
        least = std::min(least, x[i * stride + j]);
        most = std::max(most, x[i * stride + j]);
      }
      CHECK(low[j] == least && high[j] == most);
    }
  }
}

TEST(column_sums) {
  for (int64_t d : {1, 5, 8, 16, 37}) {
    const int64_t n = 211, stride = d + 2;
    const std::vector<float> x = random_floats(n * stride, static_cast<uint32_t>(d));
    const std::vector<double> shift(d, 0.125), scale(d, 0x1p25);
    std::vector<double> sums(3 * d);
    column_sums(x.data(), stride, n, d, shift.data(), scale.data(), sums.data());
    for (int64_t j = 0; j < d; ++j) {
      int64_t first = 0, second = 0;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t y = std::llrint((x[i * stride + j] - 0.125) * 0x1p25);
        first += y;
        second += y * y;
      }
      CHECK(static_cast<int64_t>(sums[j]) == first);
      CHECK((static_cast<int64_t>(sums[d + j]) << 26) + static_cast<int64_t>(sums[2 * d + j]) == second);
    }
  }
}

}  // namespace codeword::test
