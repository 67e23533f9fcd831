// The kernels of lattice codes, on a codebook of three orbits, against what they are defined as.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/lattice.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

OrbitTable small_table() {
  return OrbitTable({2, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0},
                    {50, 50, 0, 0, 0, 0, 0, 0, 27, 27, 27, 27, 27, 27, 27, 27, 92, 0, 0, 0, 0, 0, 0, 0});
}

std::vector<int32_t> blocks_of(int64_t n) {
  const auto wild = random_integers<int16_t>(8 * n, 3);
  std::vector<int32_t> y(wild.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = wild[i] == -32768 ? 0 : i / 8 % 3 == 0 ? wild[i] : wild[i] / 4;
  return y;
}

}  // namespace

TEST(orbit_encode) {
  const OrbitTable table = small_table();
  CHECK(table.size() == 256);
  for (int64_t n : {1, 4, 16, 33}) {
    const auto y = blocks_of(n);
    const std::vector<int32_t> steps(n, 64);
    std::vector<uint16_t> symbols(n);
    kernels().orbit_encode(table.book(), y.data(), steps.data(), n, symbols.data());
    for (int64_t i = 0; i < n; ++i) {
      const auto distance = [&](int64_t symbol) {
        int64_t sum = 0;
        for (int64_t j = 0; j < 8; ++j) {
          const int64_t apart = y[8 * i + j] - 128 * table.words()[8 * symbol + j];
          sum += apart * apart;
        }
        return sum;
      };
      for (int64_t c = 0; c < 256; ++c) CHECK(distance(symbols[i]) <= distance(c));
    }
  }
}

TEST(whole_blocks) {
  for (int64_t d : {1, 3, 8, 13, 40}) {
    const int64_t n = 3, width = (d + 7) / 8 * 8;
    const auto x = random_floats(n * d, 2);
    std::vector<float> mean(width + 16), inverse(width + 16);
    for (int64_t j = 0; j < d; ++j) {
      mean[j] = 0.25f;
      inverse[j] = 1e5f;
    }
    std::vector<int32_t> y(n * width + 16);
    kernels().whole_blocks(x.data(), n, d, mean.data(), inverse.data(), width, y.data());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        const int64_t begun = d % 8, from = j < d ? j
                                            : j < d - begun + 8 / std::max<int64_t>(1, begun) * begun
                                                ? j - (j - d) / begun * begun - begun
                                                : -1;
        const double wanted = from < 0 ? 0 : std::fmin(std::fmax((x[i * d + from] - 0.25f) * 1e5f, -32767), 32767);
        CHECK(std::abs(y[i * width + j] - wanted) <= 0.51);
      }
    }
  }
}

TEST(orbit_values) {
  const OrbitTable table = small_table();
  std::vector<int16_t> steps(256, 3);
  for (int64_t blocks : {1, 5, 40}) {
    for (int64_t second : {0, 1}) {
      const LatticeCode code = {blocks, {1, second}, {table.words().data(), table.words().data()}, steps.data()};
      const int64_t n = 3, size = blocks * (1 + second);
      const auto codes = random_integers<uint8_t>(n * size, 4);
      std::vector<int16_t> values(n * 8 * blocks);
      kernels().orbit_values(code, codes.data(), n, values.data());
      for (int64_t i = 0; i < n * 8 * blocks; ++i) {
        const uint8_t* row = codes.data() + i / (8 * blocks) * size;
        const int64_t b = i / 8 % blocks;
        const int rest = second ? 3 * table.words()[8 * row[blocks + b] + i % 8] : 0;
        CHECK(values[i] == 128 * table.words()[8 * row[b] + i % 8] + rest);
      }
    }
  }
}

TEST(dot_values) {
  for (int64_t width : {32, 96}) {
    for (bool four : {false, true}) {
      const int64_t n = 8;
      auto values = random_integers<int16_t>(n * width, 5), weights = random_integers<int16_t>(4 * width, 6);
      for (int16_t& w : weights) w = static_cast<int16_t>(w / 100);
      std::vector<int32_t> sums(4 * n);
      kernels().dot_values(values.data(), n, width, weights.data(), four, sums.data());
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t l = 0; l < (four ? 4 : 1); ++l) {
          int32_t sum = 0;
          for (int64_t j = 0; j < width; ++j) sum += values[i * width + j] * weights[l * width + j];
          CHECK(sums[four ? 4 * i + l : i] == sum);
        }
      }
    }
  }
}

TEST(value_norms) {
  const int64_t n = 3, width = 40;
  const auto values = random_integers<int16_t>(n * width, 7);
  std::vector<double> line(width), square(width), out(n);
  for (int64_t j = 0; j < width; ++j) {
    line[j] = 3 * static_cast<double>(j);
    square[j] = 2;
  }
  kernels().value_norms(values.data(), n, width, line.data(), square.data(), out.data());
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;  // whole numbers below 2^53, so that any order gives the same
    for (int64_t j = 0; j < width; ++j) {
      const double v = values[i * width + j];
      sum += v * (line[j] + square[j] * v);
    }
    CHECK(out[i] == sum);
  }
}

}  // namespace codeword::test
