// assign and accumulate against their definitions, bit for bit, in codebooks of one to several chunks.
#include <cmath>

#include "check.h"
#include "core/accumulate.h"
#include "core/codebooks.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

template <class T>
double lane_dot(const T* a, const T* b, int64_t d) {
  double lane[8] = {};
  for (int64_t i = 0; i < d; ++i) lane[i % 8] += double(a[i]) * b[i];
  for (int l = 0; l < 4; ++l) lane[l] += lane[l + 4];
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

template <class T>
int32_t nearest(const T* x, const std::vector<T>& codebook, int64_t k, int64_t d) {
  int32_t best = 0;
  double least = INFINITY;
  for (int64_t c = 0; c < k; ++c) {
    const T* codeword = &codebook[c * d];
    const double score = lane_dot(codeword, codeword, d) - 2 * lane_dot(x, codeword, d);
    if (score < least) {
      best = static_cast<int32_t>(c);
      least = score;
    }
  }
  return best;
}

}  // namespace

TEST(assign) {
  for (int64_t d : {1, 3, 8, 17, 40, 64, 200}) {
    for (int64_t k : {1, 5, 16, 33, 256, 1100}) {
      const int64_t n = 53;
      std::vector<float> x = random_floats(n * d, 1), codebook = random_floats(k * d, static_cast<uint32_t>(k));
      for (int64_t i = 0; i < d; ++i) {
        codebook[(k / 2) * d + i] = codebook[i];               // a tie
        x[i] = (codebook[i] + codebook[(k - 1) * d + i]) / 2;  // nearly one
        x[d + i] *= 1e30f;
        x[2 * d + i] *= 1e-40f;
      }
      Codebooks books;
      books.append(codebook.data(), k, d);
      std::vector<int32_t> labels(n);
      std::vector<double> distances(n);
      books.assign(x.data(), n, d, labels.data(), distances.data());
      for (int64_t i = 0; i < n; ++i) CHECK(labels[i] == nearest(&x[i * d], codebook, k, d));
    }
  }
}

// Float64 rows: codewords that are one float32 apart in nothing, or in everything.
TEST(assign_wide) {
  for (int64_t d : {1, 3, 8, 17, 40, 64, 200}) {
    for (int64_t k : {1, 5, 16, 33, 256, 1100}) {
      const int64_t n = 53;
      const std::vector<float> x32 = random_floats(n * d, 1), c32 = random_floats(k * d, static_cast<uint32_t>(k));
      std::vector<double> x(x32.begin(), x32.end()), codebook(c32.begin(), c32.end());
      for (int64_t i = 0; i < d; ++i) {
        codebook[(k / 2) * d + i] = codebook[i] * (1 + 0x1p-40);
        x[i] = (codebook[i] + codebook[(k - 1) * d + i]) / 2 * (1 + 0x1p-45);
        x[d + i] *= 1e30;
        x[2 * d + i] *= 1e-40;
      }
      Codebooks books;
      books.append(codebook.data(), k, d);
      std::vector<int32_t> labels(n);
      std::vector<double> distances(n);
      books.assign(x.data(), n, d, labels.data(), distances.data());
      for (int64_t i = 0; i < n; ++i) CHECK(labels[i] == nearest(&x[i * d], codebook, k, d));
    }
  }
}

TEST(assign_prepare) {
  const int64_t k = 70, d = 13;
  const std::vector<float> codebook = random_floats(k * d, 4);
  AssignCodebook book = {};
  book.k = k;
  book.d = d;
  book.codewords = codebook.data();
  const AlignedBytes storage = allocate_aligned(kernels().assign_prepare(book, nullptr));
  kernels().assign_prepare(book, storage.get());
  for (int64_t c = 0; c < k; ++c) CHECK(book.norms[c] == lane_dot(&codebook[c * d], &codebook[c * d], d));
}

TEST(accumulate) {
  const int64_t n = 300, d = 21, k = 5;
  const std::vector<float> x = random_floats(n * d, 2), weights = random_floats(n, 3);
  const std::vector<int32_t> exponents(d, 40);
  std::vector<int32_t> labels(n);
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<int32_t>(i * i % k);
  std::vector<int64_t> sums(k * d), counts(k), expected(k * d);
  accumulate(Accumulate<float>{x.data(), n, d, d, labels.data(), nullptr, weights.data(), exponents.data(), 20, k,
                               sums.data(), counts.data()});
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < d; ++j) {
      expected[labels[i] * d + j] += std::llrint(std::ldexp(double(x[i * d + j]) * weights[i], 40));
    }
  }
  CHECK(sums == expected);
}

TEST(accumulate_wide) {
  const int64_t n = 300, d = 21, k = 5;
  const std::vector<float> x32 = random_floats(n * d, 2), w32 = random_floats(n, 3);
  std::vector<double> x(x32.begin(), x32.end()), weights(w32.begin(), w32.end());
  for (double& value : x) value *= 1 + 0x1p-30;
  const std::vector<int32_t> exponents(d, 40);
  std::vector<int32_t> labels(n);
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<int32_t>(i * i % k);
  std::vector<int64_t> sums(k * d), counts(k), expected(k * d);
  accumulate(Accumulate<double>{x.data(), n, d, d, labels.data(), nullptr, weights.data(), exponents.data(), 20, k,
                                sums.data(), counts.data()});
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < d; ++j) {
      expected[labels[i] * d + j] += std::llrint(std::ldexp(x[i * d + j] * weights[i], 40));
    }
  }
  CHECK(sums == expected);
}

}  // namespace codeword::test
