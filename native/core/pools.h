// Pools of the k nearest rows of each query, filled by any thread in any order.
//
//   offer(query, distances of rows) ... --> sorted lists
//
// A pool takes more than k rows and is cut down to the k nearest when it is full. Equal distances go to the lower name,
// so what is left depends on nothing but what was offered.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "core/topk.h"

namespace codeword {

class NearestPools {
 public:
  NearestPools(int64_t q, int64_t k);
  NearestPools(const NearestPools&) = delete;
  NearestPools& operator=(const NearestPools&) = delete;

  int64_t queries() const { return static_cast<int64_t>(pools_.size()); }
  int64_t k() const { return k_; }

  // Rows with finite distances (n) and the names ids[i], or first + i where ids is null.
  void offer(int64_t query, const float* distances, int64_t n, const int64_t* ids, int64_t first);

  // distances, names (q, k), nearest first; places that nothing took are (infinity, 2^63 - 1).
  void sorted(float* distances, int64_t* names);

 private:
  struct Pool {
    std::mutex lock;
    std::vector<Neighbour> rows;
    float limit;  // no row farther than that is among the k nearest
  };
  void cut(Pool& pool) const;

  int64_t k_;
  size_t capacity_;
  std::vector<Pool> pools_;
};

// distances, names (q, k): of each row of `given` and `given_names` (q, c) the min(k, c) nearest, nearest first.
void nearest_of(const float* given, const int64_t* given_names, int64_t q, int64_t c, int64_t k, float* distances,
                int64_t* names);

}  // namespace codeword
