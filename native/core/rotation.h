// Random rotations of rows over threads. Definition: RotationPlan in kernels.h.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels.h"

namespace codeword {

// A RotationPlan with the arrays that it points to.
class Rotation {
 public:
  explicit Rotation(int64_t d) { plan_.d = d; }
  Rotation(const Rotation&) = delete;
  Rotation& operator=(const Rotation&) = delete;

  // Adds a step; permutation (d) or empty. Throws std::invalid_argument where it does not fit.
  void append(std::vector<int32_t> permutation, std::vector<std::pair<int64_t, std::vector<float>>> windows);

  int64_t d() const { return plan_.d; }
  const RotationPlan& plan() const { return plan_; }
  // Rows (n, d), in place.
  void rotate(float* rows, int64_t n, bool inverse) const;

 private:
  struct Step {
    std::vector<int32_t> permutation;
    std::vector<std::pair<int64_t, std::vector<float>>> windows;
  };
  std::vector<Step> steps_;
  std::vector<RotationStep> made_;
  RotationPlan plan_ = {};
};

}  // namespace codeword
