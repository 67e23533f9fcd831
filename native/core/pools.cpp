// See pools.h.
#include "core/pools.h"

#include <algorithm>
#include <limits>

#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kFiltered = 512;  // rows a call of the filter
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kNoName = std::numeric_limits<int64_t>::max();

}  // namespace

NearestPools::NearestPools(int64_t q, int64_t k)
    : k_(k), capacity_(static_cast<size_t>(2 * k + 128)), pools_(static_cast<size_t>(q)) {
  for (Pool& pool : pools_) pool.limit = kInfinity;
}

void NearestPools::cut(Pool& pool) const {
  const auto k = static_cast<size_t>(k_);
  if (pool.rows.size() <= k) return;
  std::nth_element(pool.rows.begin(), pool.rows.begin() + (k_ - 1), pool.rows.end());
  pool.rows.resize(k);
  pool.limit = pool.rows[k - 1].distance;
}

void NearestPools::offer(int64_t query, const float* distances, int64_t n, const int64_t* ids, int64_t first) {
  const Kernels& table = kernels();
  Pool& pool = pools_[static_cast<size_t>(query)];
  int32_t positions[kFiltered];
  const std::lock_guard<std::mutex> held(pool.lock);
  for (int64_t start = 0; start < n; start += kFiltered) {
    const int64_t found = table.below(distances + start, std::min(kFiltered, n - start), pool.limit, positions);
    for (int64_t p = 0; p < found; ++p) {
      const int64_t i = start + positions[p];
      if (!(distances[i] <= pool.limit && distances[i] < kInfinity)) continue;
      if (pool.rows.capacity() < capacity_) pool.rows.reserve(capacity_);
      pool.rows.push_back({distances[i], ids ? ids[i] : first + i});
      if (pool.rows.size() == capacity_) cut(pool);
    }
  }
}

void NearestPools::sorted(float* distances, int64_t* names) {
  parallel_for(queries(), [&](int64_t l) {
    Pool& pool = pools_[static_cast<size_t>(l)];
    cut(pool);
    std::sort(pool.rows.begin(), pool.rows.end());
    const auto size = static_cast<int64_t>(pool.rows.size());
    for (int64_t i = 0; i < k_; ++i) {
      distances[l * k_ + i] = i < size ? pool.rows[static_cast<size_t>(i)].distance : kInfinity;
      names[l * k_ + i] = i < size ? pool.rows[static_cast<size_t>(i)].id : kNoName;
    }
  });
}

void nearest_of(const float* given, const int64_t* given_names, int64_t q, int64_t c, int64_t k, float* distances,
                int64_t* names) {
  parallel_for(q, [&](int64_t l) {
    thread_local std::vector<int32_t> order;
    order.resize(static_cast<size_t>(c));
    for (int64_t i = 0; i < c; ++i) order[static_cast<size_t>(i)] = static_cast<int32_t>(i);
    const float* row = given + l * c;
    const int64_t* named = given_names + l * c;
    const int64_t kept = std::min(k, c);
    std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](int32_t a, int32_t b) {
      return row[a] < row[b] || (row[a] == row[b] && named[a] < named[b]);
    });
    for (int64_t i = 0; i < kept; ++i) {
      distances[l * kept + i] = row[order[static_cast<size_t>(i)]];
      names[l * kept + i] = named[order[static_cast<size_t>(i)]];
    }
  });
}

}  // namespace codeword
