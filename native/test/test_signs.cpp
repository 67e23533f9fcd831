// sign_codes, scan_signs, scan_signs_one and grid_codes against what they are defined as.
#include <cmath>
#include <cstdlib>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

int64_t lane_of(int64_t l) { return 4 * (l % 16) + 2 * (l / 16 % 2) + l / 32; }

// Small enough that eight sum to 127 at most.
std::vector<int8_t> weights_of(int64_t n, uint32_t seed) {
  std::vector<int8_t> weights = random_integers<int8_t>(n, seed);
  for (int8_t& w : weights) w = static_cast<int8_t>(w / 9);
  return weights;
}

int32_t sum_of(const int8_t* weights, uint8_t byte) {
  int32_t sum = 0;
  for (int b = 0; b < 8; ++b) sum += (byte >> b & 1) * weights[b];
  return sum;
}

}  // namespace

TEST(sign_codes) {
  for (int64_t d : {1, 8, 63, 64, 65, 130}) {
    const int64_t n = 3, stride = (d + 7) / 8 + 1;
    const auto x = random_floats(n * d, 1);
    std::vector<uint8_t> codes(n * stride, 77);
    std::vector<double> sums(2 * n);
    kernels().sign_codes(x.data(), n, d, codes.data(), stride, sums.data());
    for (int64_t i = 0; i < n; ++i) {
      double squares = 0, lengths = 0;
      for (int64_t j = 0; j < d; ++j) {
        const double v = x[i * d + j];
        CHECK((codes[i * stride + j / 8] >> (j % 8) & 1) == (v >= 0));
        squares += v * v;
        lengths += std::abs(v);
      }
      CHECK(codes[i * stride + stride - 1] == 77);
      CHECK(std::abs(sums[2 * i] - squares) < 1e-9 && std::abs(sums[2 * i + 1] - lengths) < 1e-9);
    }
  }
}

TEST(scan_signs) {
  for (int64_t count : {1, 48, 300}) {
    const int64_t n = 5, stride = count + 2;
    const auto codes = random_integers<uint8_t>(n * stride, 1), tables = random_integers<uint8_t>(count * 256 * 64, 2);
    std::vector<int32_t> sums(2 * n * 32, 7);
    for (bool go_on : {false, true}) {
      kernels().scan_signs(codes.data(), n, stride, tables.data(), count, go_on, sums.data());
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t l = 0; l < 64; ++l) {
          int32_t sum = 0;
          for (int64_t t = 0; t < count; ++t) sum += tables[(t * 256 + codes[i * stride + t]) * 64 + lane_of(l)] - 128;
          CHECK(sums[(l / 32 * n + i) * 32 + l % 32] == sum * (go_on ? 2 : 1));
        }
      }
    }
  }
}

TEST(scan_signs_one) {
  for (int64_t count : {1, 7, 8, 9, 48, 51}) {
    const int64_t n = 7, stride = count + 2;
    const auto codes = random_integers<uint8_t>(n * stride, 1);
    std::vector<int8_t> weights = weights_of(8 * count, 2);
    weights.resize((8 * count + 63) / 64 * 64);
    std::vector<int16_t> table(count * 256);
    for (int64_t e = 0; e < count * 256; ++e) {
      table[e] = static_cast<int16_t>(sum_of(weights.data() + e / 256 * 8, static_cast<uint8_t>(e)));
    }
    std::vector<int32_t> sums(n);
    kernels().scan_signs_one(codes.data(), n, stride, weights.data(), table.data(), count, sums.data());
    for (int64_t i = 0; i < n; ++i) {
      int32_t sum = 0;
      for (int64_t t = 0; t < count; ++t) sum += table[t * 256 + codes[i * stride + t]];
      CHECK(sums[i] == sum);
    }
  }
}

TEST(grid_codes) {
  for (int64_t d : {1, 3, 70}) {
    for (int bits : {2, 4, 8}) {
      const int64_t n = 4;
      const auto x = random_floats(n * d, 5);
      std::vector<uint8_t> indices(n * d);
      std::vector<double> sums(2 * n);
      std::vector<double> scratch(kernels().grid_codes(nullptr, 0, d, bits, nullptr, nullptr, nullptr) / 8 + 16);
      void* memory = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
      kernels().grid_codes(x.data(), n, d, bits, indices.data(), sums.data(), memory);
      for (int64_t i = 0; i < n; ++i) {
        double along = 0, square = 0, norm = 0;
        for (int64_t j = 0; j < d; ++j) {
          const int u = 2 * indices[i * d + j] + 1 - (1 << bits);
          CHECK((u > 0) == (x[i * d + j] >= 0) && std::abs(u) < 1 << bits);
          along += static_cast<double>(x[i * d + j]) * u;
          square += static_cast<double>(u) * u;
          norm += static_cast<double>(x[i * d + j]) * x[i * d + j];
        }
        CHECK(std::abs(sums[2 * i + 1] - along) < 1e-9 * (1 + along));
        CHECK(along * along / (square * norm) > 1 - 1.6 * std::pow(4.0, -bits) * 1.6);  // the angle is small
      }
    }
  }
}

}  // namespace codeword::test
