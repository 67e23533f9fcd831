// scan_bytes, scan_finish, scan_fields, scan_squares, products and centred_sums against sums written out.
#include <cstring>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

constexpr int64_t kGroup = 32;

int64_t lane_of(int64_t query) { return query < 16 ? 2 * query : 2 * (query - 16) + 1; }

template <class Term>
double lane_order(int64_t d, Term term) {
  double a[8] = {};
  for (int64_t i = 0; i < d; ++i) a[i % 8] += term(i);
  const double b[4] = {a[0] + a[4], a[1] + a[5], a[2] + a[6], a[3] + a[7]};
  return (b[0] + b[2]) + (b[1] + b[3]);
}

int64_t symbol(const uint8_t* code, int64_t j, int bits) {
  return code[j * bits / 8] >> (j * bits % 8) & ((1 << bits) - 1);
}

}  // namespace

TEST(scan_bytes) {
  for (int64_t count : {1, 3, 48}) {
    const int64_t n = 5, stride = count + 2;
    const auto codes = random_integers<uint8_t>(n * stride, 1);
    const auto tables = random_integers<uint16_t>(count * 256 * kGroup, 2);
    std::vector<int32_t> sums(n * kGroup, 7);
    for (bool go_on : {false, true}) {
      kernels().scan_bytes(codes.data(), n, stride, tables.data(), 256, count, go_on, sums.data());
      for (int64_t i = 0; i < n * kGroup; ++i) {
        int64_t sum = 0;
        for (int64_t t = 0; t < count; ++t) {
          sum += tables[(t * 256 + codes[i / kGroup * stride + t]) * kGroup + lane_of(i % kGroup)];
        }
        CHECK(sums[i] == sum * (go_on ? 2 : 1));
      }
    }
  }
}

TEST(scan_finish) {
  for (int64_t n : {1, 15, 16, 33}) {
    for (int64_t queries : {1, 4, 30, 32}) {
      const auto sums = random_integers<int32_t>(n * kGroup, 3);
      const std::vector<float> scale = random_floats(kGroup, 4), bias = random_floats(kGroup, 5);
      std::vector<float> out(queries * (n + 1), 9.0f);
      kernels().scan_finish(sums.data(), n, queries, scale.data(), bias.data(), out.data(), n + 1);
      for (int64_t l = 0; l < queries; ++l) {
        for (int64_t i = 0; i < n; ++i) {
          const float product = static_cast<float>(sums[i * kGroup + l]) * scale[l];
          CHECK(out[l * (n + 1) + i] == product + bias[l]);
        }
        CHECK(out[l * (n + 1) + n] == 9.0f);
      }
    }
  }
}

TEST(scan_fields) {
  for (int bits : {2, 4, 8}) {
    for (int64_t padded : {32, 96}) {
      const int64_t planes = 8 / bits, n = 7;
      const auto codes = random_integers<uint8_t>(n * padded, 6);
      const auto weights = random_integers<int16_t>(4 * planes * padded, 7);
      for (bool four : {false, true}) {
        const int64_t queries = four ? 4 : 1;
        std::vector<int32_t> sums(n * queries);
        kernels().scan_fields(codes.data(), n, padded, weights.data(), padded, bits, four, sums.data());
        for (int64_t i = 0; i < n * queries; ++i) {
          int64_t sum = 0;
          for (int64_t j = 0; j < planes * padded; ++j) {
            const int64_t at = (i % queries * planes + j % planes) * padded + j / planes;
            sum += weights[at] * symbol(&codes[i / queries * padded], j, bits);
          }
          CHECK(sums[i] == sum);
        }
      }
    }
  }
}

TEST(scan_squares) {
  for (int bits : {2, 4, 8}) {
    const int64_t planes = 8 / bits, padded = 64, n = 5, top = (1 << bits) - 1;
    const auto codes = random_integers<uint8_t>(n * padded, 8);
    auto linear = random_integers<int16_t>(planes * padded, 9), curved = random_integers<int16_t>(planes * padded, 10);
    for (int16_t& w : curved) w &= 0x7fff;
    std::vector<int64_t> sums(2 * n);
    kernels().scan_squares(codes.data(), n, padded, linear.data(), curved.data(), padded, bits, sums.data());
    for (int64_t i = 0; i < n; ++i) {
      int64_t line = 0, curve = 0;
      for (int64_t j = 0; j < planes * padded; ++j) {
        const int64_t c = symbol(&codes[i * padded], j, bits), at = j % planes * padded + j / planes;
        line += linear[at] * c;
        curve += curved[at] * c * (top - c);
      }
      CHECK(sums[2 * i] == line);
      CHECK(sums[2 * i + 1] == curve);
    }
  }
}

TEST(products) {
  for (int64_t d : {1, 7, 8, 9, 100}) {
    for (int64_t k : {1, 8, 9, 16, 33}) {
      const int64_t step = (k + 15) / 16 * 16;
      const std::vector<float> query = random_floats(d, 11), columns = random_floats(d * step, 12);
      std::vector<double> out(k + 1, 5.0);
      kernels().products(query.data(), columns.data(), d, k, step, out.data());
      for (int64_t c = 0; c < k; ++c) {
        CHECK(out[c] == lane_order(d, [&](int64_t i) { return double(query[i]) * double(columns[i * step + c]); }));
      }
      CHECK(out[k] == 5.0);
    }
  }
}

TEST(centred_sums) {
  for (int64_t d : {1, 7, 8, 9, 100}) {
    const std::vector<float> x = random_floats(3 * d, 13), y = random_floats(3 * d, 14), m = random_floats(d, 15);
    std::vector<double> mean(m.begin(), m.end()), out(9);
    for (double& value : mean) value /= 3;
    kernels().centred_sums(x.data(), y.data(), mean.data(), 3, d, out.data());
    for (int64_t i = 0; i < 3; ++i) {
      const auto a = [&](int64_t j) { return x[i * d + j] - mean[j]; };
      const auto b = [&](int64_t j) { return y[i * d + j] - mean[j]; };
      CHECK(out[3 * i] == lane_order(d, [&](int64_t j) { return a(j) * a(j); }));
      CHECK(out[3 * i + 1] == lane_order(d, [&](int64_t j) { return a(j) * b(j); }));
      CHECK(out[3 * i + 2] == lane_order(d, [&](int64_t j) { return double(x[i * d + j]) * double(x[i * d + j]); }));
    }
  }
}

}  // namespace codeword::test
