// nearest_even and nearest_sorted against counted thresholds.
#include <algorithm>
#include <limits>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Evenly spaced levels -1, -1 + step, ... of `k` indices: the affine form and thresholds half way.
struct Even {
  std::vector<float> affine, thresholds;

  Even(int64_t d, int k) : affine(4 * ((d + 63) / 64 * 64)), thresholds(256 * d, kInfinity) {
    const int64_t step = (d + 63) / 64 * 64;
    const float width = 2.0f / static_cast<float>(k);
    for (int64_t j = 0; j < d; ++j) {
      affine[j] = -1.0f;
      affine[step + j] = 1.0f / width;
      affine[2 * step + j] = static_cast<float>(k - 1);
      affine[3 * step + j] = 0.49f;
      for (int c = 0; c + 1 < k; ++c) thresholds[256 * j + c] = -1.0f + width * (static_cast<float>(c) + 0.5f);
    }
  }
};

void check_counts(const std::vector<float>& rows, int64_t d, const std::vector<float>& thresholds,
                  const std::vector<uint8_t>& indices) {
  for (int64_t i = 0; i < static_cast<int64_t>(rows.size()); ++i) {
    const auto first = thresholds.begin() + i % d * 256;
    CHECK(indices[i] == std::count_if(first, first + 256, [&](float t) { return rows[i] > t; }));
  }
}

}  // namespace

TEST(nearest_even) {
  for (int64_t d : {1, 15, 64, 65, 200}) {
    for (int k : {2, 16, 256}) {
      const Even even(d, k);
      std::vector<float> rows = random_floats(3 * d, 1);
      for (int64_t i = 0; i < 3 * d; i += 3) rows[i] = std::min(even.thresholds[i % d * 256 + i % (k - 1)], 9.0f);
      std::vector<uint8_t> indices(3 * d);
      kernels().nearest_even(rows.data(), 3, d, even.affine.data(), (d + 63) / 64 * 64, even.thresholds.data(),
                             indices.data());
      check_counts(rows, d, even.thresholds, indices);
    }
  }
}

TEST(nearest_sorted) {
  for (int64_t d : {1, 15, 64, 65, 200}) {
    for (int k : {2, 16, 256}) {
      const Even even(d, k);
      std::vector<float> coarse(15 * d);
      for (int64_t t = 0; t < 15; ++t) {
        for (int64_t j = 0; j < d; ++j) coarse[t * d + j] = even.thresholds[256 * j + (k > 16 ? 16 * t + 15 : t)];
      }
      const std::vector<float> rows = random_floats(3 * d, 1);
      std::vector<uint8_t> indices(3 * d);
      kernels().nearest_sorted(rows.data(), 3, d, coarse.data(), k > 16 ? even.thresholds.data() : nullptr,
                               indices.data());
      check_counts(rows, d, even.thresholds, indices);
    }
  }
}

}  // namespace codeword::test
