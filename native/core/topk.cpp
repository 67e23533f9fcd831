// See topk.h.
#include "core/topk.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kFiltered = 512;        // rows a call of the filter
constexpr int64_t kRowsAPiece = 1 << 15;  // where there are few queries, pieces of rows run side by side
constexpr int64_t kManyQueries = 16;

// One list: a binary heap in two arrays, the farthest first.
struct List {
  float* distances;
  int64_t* ids;
  int64_t k;

  Neighbour at(int64_t i) const { return {distances[i], ids[i]}; }
  void set(int64_t i, Neighbour x) const {
    distances[i] = x.distance;
    ids[i] = x.id;
  }

  // Lets x sink from the top of the first `size` places.
  void sink(Neighbour x, int64_t size) const {
    int64_t i = 0;
    while (2 * i + 1 < size) {
      int64_t child = 2 * i + 1;
      if (child + 1 < size && at(child) < at(child + 1)) ++child;
      if (!(x < at(child))) break;
      set(i, at(child));
      i = child;
    }
    set(i, x);
  }

  void offer(Neighbour x) const {
    if (x < at(0)) sink(x, k);
  }

  void sort() const {
    for (int64_t size = k - 1; size > 0; --size) {
      const Neighbour farthest = at(0), last = at(size);
      sink(last, size);
      set(size, farthest);
    }
  }
};

void offer_rows(const List& list, const float* distances, int64_t begin, int64_t end, const int64_t* ids,
                int64_t first) {
  const Kernels& table = kernels();
  int32_t positions[kFiltered];
  for (int64_t start = begin; start < end; start += kFiltered) {
    const int64_t n = std::min(kFiltered, end - start);
    const int64_t found = table.below(distances + start, n, list.distances[0], positions);
    for (int64_t p = 0; p < found; ++p) {
      const int64_t i = start + positions[p];
      list.offer({distances[i], ids ? ids[i] : first + i});
    }
  }
}

}  // namespace

void offer(const NearestLists& lists, const float* distances, int64_t n, const int64_t* ids, int64_t first) {
  const int64_t q = lists.q, k = lists.k;
  const int64_t pieces = q < kManyQueries ? (n + kRowsAPiece - 1) / kRowsAPiece : 1;
  if (pieces <= 1) {
    parallel_for(q, [&](int64_t l) {
      offer_rows({lists.distances + l * k, lists.ids + l * k, k}, distances + l * n, 0, n, ids, first);
    });
    return;
  }
  // Every piece fills lists of its own, which are then offered to the lists there are.
  std::vector<float> near(q * pieces * k, std::numeric_limits<float>::infinity());
  std::vector<int64_t> near_ids(q * pieces * k, std::numeric_limits<int64_t>::max());
  parallel_for(q * pieces, [&](int64_t chunk) {
    const int64_t l = chunk / pieces, begin = chunk % pieces * kRowsAPiece;
    offer_rows({&near[chunk * k], &near_ids[chunk * k], k}, distances + l * n, begin, std::min(n, begin + kRowsAPiece),
               ids, first);
  });
  parallel_for(q, [&](int64_t l) {
    const List list{lists.distances + l * k, lists.ids + l * k, k};
    for (int64_t i = l * pieces * k; i < (l + 1) * pieces * k; ++i) list.offer({near[i], near_ids[i]});
  });
}

void sort_lists(const NearestLists& lists) {
  parallel_for(lists.q,
               [&](int64_t l) { List{lists.distances + l * lists.k, lists.ids + l * lists.k, lists.k}.sort(); });
}

void rescale(float* distances, int64_t q, int64_t n, const float* before, const float* factor, const float* term,
             const float* after, float floor) {
  const Kernels& table = kernels();
  constexpr int64_t kRows = 1 << 14;
  const int64_t pieces = (n + kRows - 1) / kRows;
  parallel_for(q * pieces, [&](int64_t chunk) {
    const int64_t l = chunk / pieces, begin = chunk % pieces * kRows;
    table.rescale(distances + l * n + begin, std::min(kRows, n - begin), before[l], factor + begin, term + begin,
                  after[l], floor);
  });
}

}  // namespace codeword
