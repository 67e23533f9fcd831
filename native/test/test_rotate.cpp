// rotate_rows and round_rows against their definitions, bit for bit.
#include <cmath>
#include <cstring>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

void rotate_plainly(const RotationPlan& plan, float* row) {
  for (int64_t s = 0; s < plan.steps; ++s) {
    const RotationStep& step = plan.steps_of[s];
    const std::vector<float> copy(row, row + plan.d);
    for (int64_t j = 0; step.permutation && j < plan.d; ++j) row[j] = copy[step.permutation[j]];
    for (int64_t w = 0; w < step.windows; ++w) {
      const RotationWindow& window = step.window[w];
      float* at = row + window.start;
      for (int64_t j = 0; j < window.length; ++j) at[j] *= window.signs[j];
      kernels().hadamard(at, 1, window.length);
    }
  }
}

}  // namespace

TEST(rotate_rows) {
  const int64_t d = 100, n = 3;
  std::vector<float> signs(64);
  for (int j = 0; j < 64; ++j) signs[j] = j % 3 ? 0.125f : -0.125f;  // 64^-1/2
  std::vector<int32_t> permutation(d);
  for (int64_t j = 0; j < d; ++j) permutation[j] = static_cast<int32_t>(j * 37 % d);
  const RotationStep steps[2] = {{nullptr, 2, {{0, 64, signs.data()}, {36, 64, signs.data()}}},
                                 {permutation.data(), 2, {{0, 64, signs.data()}, {36, 64, signs.data()}}}};
  const RotationPlan plan = {d, 2, steps};
  const std::vector<float> rows = random_floats(n * d, 1);
  std::vector<float> turned = rows, expected = rows;
  std::vector<uint64_t> scratch(kernels().rotate_rows(plan, nullptr, 0, false, nullptr) / 8 + 8);
  void* memory = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  for (int64_t i = 0; i < n; ++i) rotate_plainly(plan, &expected[i * d]);
  kernels().rotate_rows(plan, turned.data(), n, false, memory);
  CHECK(std::memcmp(turned.data(), expected.data(), turned.size() * sizeof(float)) == 0);
  kernels().rotate_rows(plan, turned.data(), n, true, memory);
  for (int64_t i = 0; i < n * d; ++i) CHECK(std::abs(turned[i] - rows[i]) < 1e-5f);
}

TEST(round_rows) {
  for (int64_t d : {1, 15, 16, 17, 64, 100}) {
    const int64_t n = 4, stride = (d + 63) / 64 * 64;
    std::vector<float> x = random_floats(n * d, static_cast<uint32_t>(d));
    for (int64_t j = 0; j < d; ++j) x[d + j] = 0.0f;
    x[2 * d] = HUGE_VALF;
    std::vector<int8_t> bytes(n * stride, 1);
    std::vector<float> scales(n);
    std::vector<int32_t> sums(n);
    kernels().round_rows(x.data(), n, d, bytes.data(), stride, scales.data(), sums.data());
    CHECK(std::isnan(scales[2]));
    for (int64_t i : {0, 1, 3}) {
      float most = 0.0f;
      int32_t sum = 0;
      for (int64_t j = 0; j < d; ++j) most = std::max(most, std::abs(x[i * d + j]));
      CHECK(scales[i] == most * (1.0f / 127));
      for (int64_t j = 0; j < d; ++j) {
        const float scaled = x[i * d + j] * (most >= 0x1p-100f ? 127 / most : 0.0f);
        CHECK(bytes[i * stride + j] == static_cast<int8_t>(std::nearbyint(scaled)));
        sum += bytes[i * stride + j];
      }
      for (int64_t j = d; j < stride; ++j) CHECK(bytes[i * stride + j] == 0);
      CHECK(sums[i] == sum);
    }
  }
}

}  // namespace codeword::test
