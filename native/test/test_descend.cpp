// descend against its definition, bit for bit, with ties, near ties and numbers at the ends of float32.
#include "check.h"
#include "core/descent.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

double dot(const float* a, const float* b, int64_t d) {
  double out = 0;
  kernels().pairwise_dot(a, 1, b, 1, d, &out);
  return out;
}

double score(const float* x, const float* codeword, int64_t d) {
  return dot(codeword, codeword, d) - 2 * dot(x, codeword, d);
}

}  // namespace

TEST(descend) {
  constexpr int64_t kPairs = 15, kRows = 75;
  std::vector<int32_t> children(2 * kPairs);
  for (int32_t s = 0; s < 2 * kPairs; ++s) children[s] = s + 1 < kPairs ? s + 1 : ~s;
  for (int64_t d : {1, 3, 8, 17, 40, 64, 300}) {
    std::vector<float> codewords = random_floats(2 * kPairs * d, 1), x = random_floats(kRows * d, 2);
    for (int64_t i = 0; i < d; ++i) {
      codewords[3 * d + i] = codewords[2 * d + i];   // a tie
      x[i] = (codewords[i] + codewords[d + i]) / 2;  // nearly one
      x[d + i] *= 1e38f;
      x[2 * d + i] *= 1e-40f;
    }
    const Descent descent(codewords.data(), children.data(), kPairs, d);
    std::vector<int32_t> labels(kRows);
    std::vector<double> distances(kRows);
    descent.run(x.data(), kRows, d, nullptr, labels.data(), distances.data());
    for (int64_t r = 0; r < kRows; ++r) {
      int64_t pair = 0, slot = 0;
      while (pair >= 0) {
        const float* left = &codewords[2 * pair * d];
        slot = 2 * pair + (score(&x[r * d], left + d, d) < score(&x[r * d], left, d));
        pair = children[slot];
      }
      CHECK(labels[r] == ~pair);
      double square = 0;
      kernels().pairwise_sqdist(&x[r * d], 1, &codewords[slot * d], 1, d, &square);
      CHECK(distances[r] == square);
    }
  }
}

}  // namespace codeword::test
