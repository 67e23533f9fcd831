// Binary trees of codewords, prepared for `descend` (docs/exactness.md, Trees).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

namespace codeword {

class Descent {
 public:
  // Copies codewords (2 pairs, d) and children (2 pairs): each a pair number, or ~label.
  Descent(const float* codewords, const int32_t* children, int64_t pairs, int64_t d);

  int64_t pairs() const { return static_cast<int64_t>(bounds_.size()); }
  int64_t d() const { return d_; }

  // See descend_fn. The result depends neither on threads nor on the ISA.
  void run(const float* x, int64_t n, int64_t x_stride, const int32_t* first, int32_t* labels, double* distances) const;

 private:
  int64_t d_;
  std::vector<float> codewords_, differences_;
  std::vector<double> norms_;
  std::vector<DescendBound> bounds_;
  std::vector<int32_t> children_;
};

}  // namespace codeword
