// trellis_encode, trellis_decode and the scans against their definitions.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

using Metrics = std::vector<std::vector<int>>;

// A code of steps of `width` bits, two coordinates in every third step, tables of random values and costs.
struct Example {
  std::vector<uint8_t> folds, widths, tables, grids, costs;
  std::vector<int32_t> firsts{0}, columns;
  std::vector<float> means, inverses, scales, fill;
  std::vector<int16_t> values;
  TrellisCode code{};

  Example(int window, int width, int warm, int64_t steps) : widths(steps, static_cast<uint8_t>(width)) {
    uint32_t random = 1;
    const auto next = [&] { return (random = random * 1664525 + 1013904223) >> 16; };
    folds.assign(256, 0);
    for (int bit = 16 - window; bit < 8; ++bit) {
      const uint8_t column = static_cast<uint8_t>(next());
      for (int byte = 0; byte < 256; ++byte) folds[byte] ^= byte >> bit & 1 ? column : 0;
    }
    for (int64_t t = 0; t < steps; ++t) firsts.push_back(firsts.back() + (t % 3 == 2 ? 2 : 1));
    const int32_t d = firsts.back();
    for (int32_t j = 0; j < d; ++j) columns.push_back(d - 1 - j);
    for (int32_t j = 0; j < d; ++j) tables.push_back(j % 2);
    for (int32_t j = 0; j < d; ++j) grids.push_back(j % 5 % 3);
    means.assign(d, 0.25f);
    inverses.assign(d, 100.0f);
    scales.assign(d, 1.0f / 4096);
    fill.assign(d, 0.0f);
    for (int i = 0; i < 512; ++i) values.push_back(static_cast<int16_t>(next()));
    for (int i = 0; i < 3 * 1024 * 256; ++i) costs.push_back(next() % 40);
    code = {d,
            steps,
            d,
            steps * width / 8,
            window,
            warm,
            folds.data(),
            widths.data(),
            firsts.data(),
            columns.data(),
            tables.data(),
            grids.data(),
            means.data(),
            inverses.data(),
            scales.data(),
            values.data(),
            costs.data(),
            fill.data(),
            nullptr};
  }

  // Once the values are what they should be.
  void prepare() {
    reader.resize(kernels().trellis_prepare(code, nullptr) / 8 + 8);
    void* storage = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(reader.data()) + 63) / 64 * 64);
    kernels().trellis_prepare(code, storage);
    code.reader = storage;
  }

 private:
  std::vector<uint64_t> reader;
};

int reversed(int value, int width) {
  int out = 0;
  for (int b = 0; b < width; ++b) out |= (value >> b & 1) << (width - 1 - b);
  return out;
}

int index_of(const TrellisCode& code, int w) { return (w & 255) ^ reversed(code.folds[reversed(w >> 8, 8)], 8); }

Metrics step_costs(const TrellisCode& code, const float* x) {
  Metrics out(code.steps, std::vector<int>(256, 0));
  for (int64_t t = 0; t < code.steps; ++t) {
    for (int j = code.firsts[t]; j < code.firsts[t + 1]; ++j) {
      const float y = std::min(std::max((x[code.columns[j]] - code.means[j]) * code.inverses[j], -512.0f), 511.0f);
      const int level = static_cast<int>(std::nearbyint(y)) + 512;
      for (int i = 0; i < 256; ++i) {
        out[t][i] = std::min(255, out[t][i] + code.costs[(code.grids[j] * 1024 + level) * 256 + i]);
      }
    }
  }
  return out;
}

Metrics forward(const TrellisCode& code, const Metrics& costs, std::vector<int> start, int64_t first, int64_t count) {
  const int e = code.widths[0], rest = code.window - e;
  Metrics metrics{std::move(start)};
  for (int64_t t = 0; t < count; ++t) {
    std::vector<int> next(1 << rest, 255);
    for (int w = 0; w < 1 << code.window; ++w) {
      int& least = next[w & ((1 << rest) - 1)];
      least = std::min(least, metrics.back()[w >> e] + costs[(first + t) % code.steps][index_of(code, w)]);
    }
    const int lowest = *std::min_element(next.begin(), next.end());
    if (t % 8 == 7) {
      for (int& metric : next) metric -= lowest;
    }
    metrics.push_back(next);
  }
  return metrics;
}

int back(const TrellisCode& code, const Metrics& costs, const Metrics& metrics, int64_t first, int64_t steps, int state,
         std::vector<int>& emitted) {
  const int e = code.widths[0];
  for (int64_t t = static_cast<int64_t>(metrics.size()) - 2, end = t - steps; t > end; --t) {
    int least = 1 << 30, best = 0;
    for (int p = 0; p < 1 << e; ++p) {
      const int w = p << (code.window - e) | state;
      const int sum = metrics[t][w >> e] + costs[(first + t) % code.steps][index_of(code, w)];
      if (sum < least) best = w;
      least = std::min(least, sum);
    }
    emitted.insert(emitted.begin(), best & ((1 << e) - 1));
    state = best >> e;
  }
  return state;
}

std::vector<uint8_t> encode(const TrellisCode& code, const float* x) {
  const int e = code.widths[0];
  const Metrics costs = step_costs(code, x);
  const int64_t first = ((-code.warm) % code.steps + code.steps) % code.steps;
  const Metrics near = forward(code, costs, std::vector<int>(1 << (code.window - e), 0), first, 2 * code.warm);
  std::vector<int> emitted, start(1 << (code.window - e), 255);
  int state = static_cast<int>(std::min_element(near.back().begin(), near.back().end()) - near.back().begin());
  state = back(code, costs, near, first, code.warm, state, emitted);
  start[state] = 0;
  emitted.clear();
  back(code, costs, forward(code, costs, start, 0, code.steps), 0, code.steps, state, emitted);
  std::vector<uint8_t> out(code.code_size, 0);
  for (int64_t bit = 0; bit < 8 * code.code_size; ++bit) {
    out[bit / 8] |= (emitted[bit / e] >> (e - 1 - bit % e) & 1) << bit % 8;
  }
  return out;
}

std::vector<float> decode(const TrellisCode& code, const std::vector<uint8_t>& bytes) {
  std::vector<float> x(code.d);
  const int64_t bits = 8 * code.code_size;
  for (int64_t t = 0; t < code.steps; ++t) {
    int window = 0;
    for (int b = 0; b < 16; ++b) {
      const int64_t at = ((t + 1) * code.widths[0] - 16 + b + 2 * bits) % bits;
      window |= (bytes[at / 8] >> at % 8 & 1) << b;
    }
    for (int j = code.firsts[t]; j < code.firsts[t + 1]; ++j) {
      const int index = window >> 8 ^ code.folds[window & 255];
      x[code.columns[j]] = code.values[code.tables[j] * 256 + index] * code.scales[j] + code.means[j];
    }
  }
  return x;
}

void check_example(int window, int width, int warm, int64_t steps) {
  Example example(window, width, warm, steps);
  example.prepare();
  const TrellisCode& code = example.code;
  const int64_t n = 6;
  const std::vector<float> x = random_floats(n * code.d, static_cast<uint32_t>(steps));
  std::vector<uint8_t> codes(n * code.code_size);
  std::vector<uint64_t> scratch(kernels().trellis_encode(code, nullptr, 0, nullptr, nullptr) / 8 + 8);
  const auto aligned = [](std::vector<uint64_t>& v) {
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(v.data()) + 63) / 64 * 64);
  };
  kernels().trellis_encode(code, x.data(), n, codes.data(), aligned(scratch));
  std::vector<float> rows(n * code.d);
  std::vector<uint64_t> reading(kernels().trellis_decode(code, nullptr, 0, nullptr, nullptr) / 8 + 8);
  kernels().trellis_decode(code, codes.data(), n, rows.data(), aligned(reading));
  for (int64_t i = 0; i < n; ++i) {
    const std::vector<uint8_t> one(&codes[i * code.code_size], &codes[i * code.code_size] + code.code_size);
    CHECK(one == encode(code, &x[i * code.d]));
    CHECK(std::equal(&rows[i * code.d], &rows[i * code.d] + code.d, decode(code, one).begin()));
  }
}

// The scans of codes, against the table values that decoding with scale 1 and mean 0 gives. Tables have the first
// `merged` of two periods, the second table one fewer.
void check_scans(int width, int64_t steps, int64_t queries, int merged) {
  Example example(9, width, 0, steps);
  const int64_t d = example.code.d, n = 53, size = example.code.code_size, blocks = (d + 63) / 64;
  example.scales.assign(d, 1.0f);
  example.means.assign(d, 0.0f);
  for (int32_t j = 0; j < d; ++j) example.columns[j] = j;
  std::vector<uint8_t> codes = random_integers<uint8_t>(n * size + 64, 1), values(512);
  for (int i = 0; i < 512; ++i) {
    const int count = merged - i / 256, first = i & 16 && count > 0 ? i ^ 17 : i;
    const int index = first & 64 && count > 1 ? first ^ 66 : first;
    values[i] = static_cast<uint8_t>((example.values[i] = static_cast<int16_t>(index * 37 % 256)));
  }
  example.prepare();
  const std::vector<int8_t> weights = random_integers<int8_t>(queries * d, 2);
  const std::vector<int16_t> wide = random_integers<int16_t>(queries * d, 3);
  std::vector<int32_t> order;
  std::vector<uint8_t> rise(blocks);
  for (int64_t b = 0; b < blocks; ++b) order.push_back(static_cast<int32_t>(blocks - 1 - b));
  for (int64_t b = 0; b < blocks; ++b) rise[b] = static_cast<uint8_t>(b);
  TrellisScan scan = {values.data(), {17, 66}, order.data(), rise.data(), nullptr};
  const auto memory = [](std::vector<uint64_t>& v, int64_t bytes) {
    v.resize(bytes / 8 + 8);
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(v.data()) + 63) / 64 * 64);
  };
  std::vector<uint64_t> storage, laid, chosen, scratch, more;
  kernels().trellis_scan_prepare(example.code, scan,
                                 memory(storage, kernels().trellis_scan_prepare(example.code, scan, nullptr)));
  std::vector<int32_t> sums(n * 32);
  // The last query first: any may be chosen, in any order.
  std::vector<int32_t> which;
  for (int64_t l = queries; l-- > 0;) which.push_back(static_cast<int32_t>(l));
  void* all = memory(laid, kernels().trellis_scan_weights(example.code, scan, nullptr, queries, nullptr));
  kernels().trellis_scan_weights(example.code, scan, weights.data(), queries, all);
  void* some = memory(chosen, kernels().trellis_scan_choose(example.code, nullptr, nullptr, queries, nullptr));
  kernels().trellis_scan_choose(example.code, all, which.data(), queries, some);
  const int64_t bytes = kernels().trellis_scan(example.code, scan, nullptr, 0, nullptr, 0, nullptr, nullptr);
  kernels().trellis_scan(example.code, scan, some, queries, codes.data(), n, sums.data(), memory(scratch, bytes));
  std::vector<int64_t> products(n * queries);
  const int64_t room = kernels().trellis_dot(example.code, nullptr, 0, nullptr, 0, nullptr, 0, nullptr);
  kernels().trellis_dot(example.code, codes.data(), n, wide.data(), queries, products.data(), n, memory(more, room));
  for (int64_t i = 0; i < n; ++i) {
    const std::vector<float> row =
        decode(example.code, std::vector<uint8_t>(&codes[i * size], &codes[i * size] + size));
    for (int64_t l = 0; l < queries; ++l) {
      int64_t sum = 0, product = 0;
      for (int64_t j = 0; j < d; ++j) {
        const auto value = static_cast<int64_t>(row[j]);
        sum += (value - 128) * weights[l * d + j] * (int64_t(1) << rise[j / 64]);
        product += value * wide[l * d + j];
      }
      CHECK(static_cast<uint32_t>(sums[queries == 1 ? i : i * 32 + queries - 1 - l]) == static_cast<uint32_t>(sum));
      CHECK(products[l * n + i] == product);
    }
  }
}

// Products with pieces of `height` rows and four columns; see check_scans.
void check_products(int width, int64_t height, int64_t queries, int merged) {
  Example example(9, width, 0, 4 * height);
  const TrellisCode& code = example.code;
  const int64_t blocks = 5, size = code.code_size, stride = 64;
  if (code.coordinates != 4 * height) return;
  example.scales.assign(code.d, 1.0f);
  example.means.assign(code.d, 0.0f);
  for (int32_t j = 0; j < code.d; ++j) example.columns[j] = j;
  std::vector<uint8_t> codes = random_integers<uint8_t>(2 + blocks * size + 64, 1), values(512);
  for (int i = 0; i < 512; ++i) {
    const int first = i & 16 && merged > 0 ? i ^ 17 : i, index = first & 64 && merged > 1 ? first ^ 66 : first;
    values[i] = static_cast<uint8_t>((example.values[i] = static_cast<int16_t>(index * 37 % 256)));
  }
  TrellisMatrix matrix = {
      values.data(), {static_cast<uint8_t>(merged > 0 ? 17 : 0), static_cast<uint8_t>(merged > 1 ? 66 : 0)}, nullptr};
  const auto memory = [](std::vector<uint64_t>& v, int64_t bytes) {
    v.resize(bytes / 8 + 8);
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(v.data()) + 63) / 64 * 64);
  };
  std::vector<uint64_t> storage, scratch;
  kernels().trellis_multiply_prepare(code, matrix,
                                     memory(storage, kernels().trellis_multiply_prepare(code, matrix, nullptr)));
  const std::vector<int8_t> x = random_integers<int8_t>((queries + 31) / 32 * 32 * stride, 2);
  std::vector<int32_t> sums(queries * height, 7);
  const int64_t room = kernels().trellis_multiply(code, matrix, {}, nullptr);
  kernels().trellis_multiply(code, matrix, {codes.data() + 2, blocks, queries, x.data(), stride, sums.data(), height},
                             memory(scratch, room));
  std::vector<int64_t> expected(queries * height, 7);
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* piece = &codes[2 + b * size];
    const std::vector<float> levels = decode(code, std::vector<uint8_t>(piece, piece + size));
    for (int64_t i = 0; i < 4 * height * queries; ++i) {
      const int64_t j = i % (4 * height), l = i / (4 * height);
      expected[l * height + j / 4] += static_cast<int64_t>(levels[j]) * x[l * stride + 4 * b + j % 4];
    }
  }
  for (int64_t i = 0; i < queries * height; ++i) CHECK(sums[i] == expected[i]);
}

}  // namespace

TEST(trellis_dot) { check_scans(2, 96, 5, 0); }

TEST(trellis_scan) {
  for (int width = 1; width <= 6; ++width) {
    for (int64_t queries : {1, 3, 32}) check_scans(width, 104, queries, width % 4);
  }
}

TEST(trellis_prepare) { check_scans(4, 72, 2, 0); }

TEST(trellis_scan_prepare) { check_scans(3, 24, 1, 0); }

TEST(trellis_scan_weights) { check_scans(2, 40, 1, 0); }

TEST(trellis_scan_choose) { check_scans(2, 40, 19, 0); }

TEST(trellis_multiply) {
  for (int width = 1; width <= 6; ++width) {
    for (int64_t queries : {1, 2, 3, 20}) check_products(width, 100, queries, (width + 1) % 3);
  }
  for (int64_t queries : {1, 2, 7}) {
    for (int merged = 0; merged < 3; ++merged) check_products(2, 24, queries, merged);
  }
}

TEST(trellis_multiply_prepare) { check_products(3, 16, 1, 1); }

TEST(trellis_encode) {
  for (int width = 1; width <= 6; ++width) {
    for (int window : {8, 9, 10, 12}) check_example(window, width, 5, 24);
  }
  check_example(16, 2, 4, 16);
}

TEST(trellis_decode) {
  for (int64_t steps : {24, 64, 72, 136}) check_example(9, 3, 3, steps);
}

}  // namespace codeword::test
