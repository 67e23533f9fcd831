// Descent of binary trees of codewords: at every pair of children the nearer one, by the exact form. A float32 inner
// product with the difference of the two decides wherever its error bound allows that (docs/exactness.md).

constexpr int64_t kDescendRows = 32;
constexpr double kLargestDescendNorm = 0x1p60;  // |x| |c1 - c0| stays below 2^120: no product or sum can overflow

CODEWORD_INLINE float filter_dot(const float* a, const float* b, int64_t d) {
  F32 even = splat(0.0f), odd = even;
  int64_t i = 0;
  for (; i + 2 * kLanes <= d; i += 2 * kLanes) {
    even = muladd(load(a + i), load(b + i), even);
    odd = muladd(load(a + i + kLanes), load(b + i + kLanes), odd);
  }
  if (i + kLanes <= d) {
    even = muladd(load(a + i), load(b + i), even);
    i += kLanes;
  }
  if (i < d) odd = muladd(load_first(a + i, d - i), load_first(b + i, d - i), odd);
  return lane_sum(add(even, odd));
}

inline bool right_is_nearer(const DescendTree& tree, int64_t pair, const float* x) {
  const float* const codewords[2] = {tree.codewords + 2 * pair * tree.d, tree.codewords + (2 * pair + 1) * tree.d};
  double dots[2];
  exact_dots<2>(x, codewords, tree.d, dots);
  return tree.norms[2 * pair + 1] - 2 * dots[1] < tree.norms[2 * pair] - 2 * dots[0];
}

CODEWORD_INLINE int64_t nearer_child(const DescendTree& tree, int64_t pair, const float* x, double norm) {
  const DescendBound& bound = tree.bounds[pair];
  const double margin = filter_dot(x, tree.differences + pair * tree.d, tree.d) - bound.threshold;
  const double error = bound.base + bound.per_norm * norm;
  if (margin > error) return 1;
  if (margin < -error) return 0;
  return right_is_nearer(tree, pair, x);  // also where a number above is NaN
}

// Level by level for a block of rows: what one row waits for (children deep in a large tree are in no cache) is fetched
// while the others are compared.
inline void descend_block(const DescendTree& tree, const DescendRows& rows, int64_t begin, int64_t count) {
  int64_t pairs[kDescendRows], slots[kDescendRows];
  double norms[kDescendRows];
  for (int64_t r = 0; r < count; ++r) {
    const float* x = rows.x + (begin + r) * rows.x_stride;
    const double norm = sqrt_of(exact_dot(x, x, tree.d));
    norms[r] = norm < kLargestDescendNorm ? norm : __builtin_huge_val();
    pairs[r] = rows.first ? rows.first[begin + r] : 0;
  }
  for (bool more = true; more;) {
    more = false;
    for (int64_t r = 0; r < count; ++r) {
      if (pairs[r] < 0) continue;
      slots[r] = 2 * pairs[r] + nearer_child(tree, pairs[r], rows.x + (begin + r) * rows.x_stride, norms[r]);
      pairs[r] = tree.children[slots[r]];
      if (pairs[r] < 0) continue;
      more = true;
      const float* next = tree.differences + pairs[r] * tree.d;
      for (int64_t i = 0; i < min_of(tree.d, int64_t(256)); i += 16) prefetch(next + i);
      prefetch(&tree.bounds[pairs[r]]);
    }
  }
  for (int64_t r = 0; r < count; ++r) {
    rows.labels[begin + r] = static_cast<int32_t>(~pairs[r]);
    if (!rows.distances) continue;
    rows.distances[begin + r] =
        exact_sqdist(rows.x + (begin + r) * rows.x_stride, tree.codewords + slots[r] * tree.d, tree.d);
  }
}

inline void descend(const DescendTree& tree, const DescendRows& rows, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kDescendRows) {
    descend_block(tree, rows, begin, min_of(n - begin, kDescendRows));
  }
}
