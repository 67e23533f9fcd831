// See additive.h.
#include "core/additive.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/rows.h"
#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kTaskRows = 96;  // whole blocks of kernels/additive.h
constexpr int kLargestExponent = 60;

// The least e with a < 4^e, and so norms below 2^e for squared norms a; 0 for zero.
int norm_exponent(double a) {
  int exponent = 0;
  std::frexp(a, &exponent);
  return a > 0 ? (exponent + 1) >> 1 : 0;
}

double largest_square(const float* rows, int64_t n, int64_t d) {
  double largest = 0, square = 0;
  for (int64_t i = 0; i < n; ++i) {
    kernels().pairwise_dot(rows + i * d, 1, rows + i * d, 1, d, &square);
    largest = std::max(largest, square);
  }
  return largest;
}

}  // namespace

Additive::Additive(const float* codebooks, int64_t m, int64_t k, int64_t d, const float* offset, int64_t depth) {
  if (m < 1 || k < 1 || k > 65536 || d < 1 || d > 65536) throw std::invalid_argument("codebooks: sizes out of range");
  if (depth < (m > 1) || depth > std::min(m - 1, kMostDepth)) {
    throw std::invalid_argument("depth must be from 1 to 64 and below m");
  }
  const int64_t width = k <= 16 ? 16 : k <= 32 ? 32 : (k + 63) / 64 * 64;
  const int exponent = std::clamp(-norm_exponent(largest_square(codebooks, m * k, d)), -126, 126);
  const float scale = std::ldexp(1.0f, exponent);
  offset_.resize(d);
  codewords_.resize(m * k * d);
  std::transform(offset, offset + d, offset_.begin(), [&](float a) { return a * scale; });
  std::transform(codebooks, codebooks + m * k * d, codewords_.begin(), [&](float a) { return a * scale; });
  squares_.assign(m * width, std::numeric_limits<float>::infinity());
  steps_.resize(m);
  const int64_t pairs = (d + 1) / 2, panel_bytes = m * width * pairs * 4;
  panels_ = allocate_aligned(panel_bytes);
  std::fill(panels_.get(), panels_.get() + panel_bytes, 0);
  code_ = {.d = d,
           .m = m,
           .k = k,
           .width = width,
           .depth = depth,
           .beam = 1,
           .passes = 1,
           .resume = false,
           .scale = scale,
           .offset = offset_.data(),
           .codewords = codewords_.data(),
           .panels = reinterpret_cast<const int32_t*>(panels_.get()),
           .steps = steps_.data(),
           .squares = squares_.data(),
           .cross = nullptr};
  for (int64_t j = 0; j < m; ++j) {
    pack_panels(j);
    add_squares(j);
  }
}

void Additive::pack_panels(int64_t j) {
  const int64_t d = code_.d, k = code_.k, pairs = (d + 1) / 2, block = std::min<int64_t>(code_.width, 64);
  const float* from = codewords_.data() + j * k * d;
  const double largest = largest_square(from, k, d);
  const int e = largest > 0 ? std::min(15 - norm_exponent(largest), kLargestExponent) : kLargestExponent;
  const float up = std::ldexp(1.0f, e), magic = 12582912.0f;  // as round_row in kernels/additive.h
  auto* panels = reinterpret_cast<int16_t*>(panels_.get()) + j * code_.width * pairs * 2;
  for (int64_t c = 0; c < k; ++c) {
    int16_t* column = panels + (c / block * block * pairs + c % block) * 2;
    for (int64_t i = 0; i < d; ++i) {
      column[i / 2 * block * 2 + i % 2] = static_cast<int16_t>(std::bit_cast<int32_t>(from[c * d + i] * up + magic));
    }
  }
  steps_[j] = std::ldexp(1.0f, 1 - e);
}

void Additive::add_squares(int64_t j) {
  const float* c = codewords_.data() + j * code_.k * code_.d;
  for (int64_t i = 0; i < code_.k; ++i, c += code_.d) {
    double square = 0;
    kernels().pairwise_dot(c, 1, c, 1, code_.d, &square);
    squares_[j * code_.width + i] = static_cast<float>(square);
  }
}

// Pairs of stages as cross_row in kernels/additive.h counts them.
void Additive::add_cross() const {
  const Kernels& table = kernels();
  struct Pair {
    int64_t stage, earlier;
  };
  std::vector<Pair> pairs;
  for (int64_t j = 1; j < code_.m; ++j) {
    for (int64_t s = j - 1; s >= std::max<int64_t>(0, j - code_.depth); --s) pairs.push_back({j, s});
  }
  const int64_t size = code_.k * code_.width, scratch = table.additive_products(code_, 0, nullptr, 0, nullptr, nullptr);
  cross_ = allocate_aligned(std::max<int64_t>(64, static_cast<int64_t>(pairs.size()) * size * 4));
  auto* cross = reinterpret_cast<float*>(cross_.get());
  parallel_for(static_cast<int64_t>(pairs.size()), [&](int64_t i) {
    const float* codewords = codewords_.data() + pairs[i].earlier * code_.k * code_.d;
    table.additive_products(code_, pairs[i].stage, codewords, code_.k, cross + i * size, thread_scratch(scratch));
  });
}

void Additive::encode(const float* x, int64_t n, int64_t beam, int64_t passes, bool resume, uint32_t* indices) const {
  std::call_once(made_, [&] { add_cross(); });
  AdditiveCode code = code_;
  code.beam = beam;
  code.passes = passes;
  code.resume = resume;
  code.cross = reinterpret_cast<const float*>(cross_.get());
  const Kernels& table = kernels();
  const int64_t scratch = table.additive_encode(code, nullptr, 0, nullptr, nullptr);
  parallel_rows(n, kTaskRows, [&](int64_t begin, int64_t end) {
    table.additive_encode(code, x + begin * code.d, end - begin, indices + begin * code.m, thread_scratch(scratch));
  });
}

void Additive::decode(const uint32_t* indices, int64_t n, float* x) const {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(4 * code_.d), [&](int64_t begin, int64_t end) {
    table.additive_decode(code_, indices + begin * code_.m, end - begin, x + begin * code_.d);
  });
}

}  // namespace codeword
