// additive_encode against all codes there are, additive_decode and additive_products against sums written out.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "core/additive.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

constexpr int64_t kM = 3, kK = 5, kD = 11;

std::vector<float> reconstruction(const std::vector<float>& codebooks, const uint32_t* indices) {
  std::vector<float> x(kD);
  for (int64_t i = 0; i < kD; ++i) {
    x[i] = codebooks[indices[0] * kD + i];
    for (int64_t j = 1; j < kM; ++j) x[i] += codebooks[(j * kK + indices[j]) * kD + i];
  }
  return x;
}

double square(const float* a, const float* b) {
  double sum = 0;
  for (int64_t i = 0; i < kD; ++i) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return sum;
}

double least_square(const std::vector<float>& codebooks, const float* x) {
  double least = std::numeric_limits<double>::infinity();
  for (uint32_t c = 0; c < kK * kK * kK; ++c) {
    const uint32_t indices[kM] = {c / (kK * kK), c / kK % kK, c % kK};
    least = std::min(least, square(x, reconstruction(codebooks, indices).data()));
  }
  return least;
}

}  // namespace

TEST(additive_encode) {
  const std::vector<float> codebooks = random_floats(kM * kK * kD, 1), x = random_floats(40 * kD, 2), offset(kD, 0.0f);
  const Additive additive(codebooks.data(), kM, kK, kD, offset.data(), kM - 1);
  std::vector<uint32_t> indices(40 * kM), again(40 * kM);
  additive.encode(x.data(), 40, 64, 1, false, indices.data());
  for (int64_t r = 0; r < 40; ++r) {
    const double found = square(&x[r * kD], reconstruction(codebooks, &indices[r * kM]).data());
    CHECK(found <= least_square(codebooks, &x[r * kD]) * (1 + 1e-3));
  }
  again = indices;
  additive.encode(x.data(), 40, 4, 2, true, again.data());
  CHECK(again == indices);
}

TEST(additive_decode) {
  const std::vector<float> codebooks = random_floats(kM * kK * kD, 3), offset = random_floats(kD, 4);
  const Additive additive(codebooks.data(), kM, kK, kD, offset.data(), 1);
  const std::vector<uint32_t> indices = {0, 1, 2, 4, 4, 4};
  std::vector<float> x(2 * kD);
  additive.decode(indices.data(), 2, x.data());
  for (int64_t r = 0; r < 2; ++r) {
    const std::vector<float> wanted = reconstruction(codebooks, &indices[r * kM]);
    for (int64_t i = 0; i < kD; ++i) CHECK(x[r * kD + i] == wanted[i] + offset[i]);
  }
}

// One codebook whose codewords, in units of 2^-15, are whole numbers: nothing is rounded.
TEST(additive_products) {
  std::vector<float> rows = random_floats(30 * 2, 5), codewords = random_floats(16 * 2, 6);
  for (float& a : rows) a = std::round(a * 0x1p12f) * 0x1p-12f;
  for (float& a : codewords) a = std::round(a * 0x1p12f) * 0x1p-12f;
  std::vector<int32_t> panels(16);
  for (int64_t c = 0; c < 16; ++c) {
    const auto low = static_cast<int16_t>(codewords[2 * c] * 0x1p13f);
    const auto high = static_cast<int16_t>(codewords[2 * c + 1] * 0x1p13f);
    panels[c] =
        static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint16_t>(high)) << 16 | static_cast<uint16_t>(low));
  }
  const float step = 0x1p-12f;
  AdditiveCode code = {};
  code.d = 2;
  code.m = code.beam = 1;
  code.k = code.width = 16;
  code.panels = panels.data();
  code.steps = &step;
  std::vector<float> out(30 * 16);
  std::vector<char> scratch(kernels().additive_products(code, 0, nullptr, 0, nullptr, nullptr) + 64);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  kernels().additive_products(code, 0, rows.data(), 30, out.data(), aligned);
  for (int64_t i = 0; i < 30 * 16; ++i) {
    const float *x = &rows[i / 16 * 2], *c = &codewords[i % 16 * 2];
    CHECK(out[i] == 2 * (x[0] * c[0] + x[1] * c[1]));
  }
}

}  // namespace codeword::test
