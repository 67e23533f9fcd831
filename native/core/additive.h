// Additive codes over rows and threads. Definition: AdditiveCode in kernels.h.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/codebooks.h"
#include "kernels.h"

namespace codeword {

class Additive {
 public:
  // Codebooks (m * k, d), one after another, and an offset (d). Throws std::invalid_argument where sizes do not fit:
  // 1 <= k <= 65536, 1 <= d <= 65536, 0 <= depth <= 64; depth is at least 1 where m is.
  Additive(const float* codebooks, int64_t m, int64_t k, int64_t d, const float* offset, int64_t depth);

  int64_t m() const { return code_.m; }
  int64_t k() const { return code_.k; }
  int64_t d() const { return code_.d; }
  float scale() const { return code_.scale; }

  // Numbers (n, m) of codewords for rows x (n, d); with `resume`, better ones than those given.
  void encode(const float* x, int64_t n, int64_t beam, int64_t passes, bool resume, uint32_t* indices) const;
  // Rows (n, d) of numbers below k.
  void decode(const uint32_t* indices, int64_t n, float* x) const;

 private:
  void pack_panels(int64_t j);
  void add_squares(int64_t j);
  void add_cross() const;

  AdditiveCode code_;
  std::vector<float> offset_, codewords_, squares_, steps_;
  AlignedBytes panels_;
  // Made by the first encode: decoding does not want them. They are the same on every ISA.
  mutable std::once_flag made_;
  mutable AlignedBytes cross_;
};

}  // namespace codeword
