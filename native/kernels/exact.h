// The exact forms that decide every assignment (ARCHITECTURE.md, Exactness): float64 sums in lane order. Products of
// float32 are exact in float64, so a dot product is the same fused or not; products of float64 and squared differences
// are not exact, so there multiply and add round apart.

CODEWORD_INLINE F64x8 load_f64x8_first(const double* p, int64_t n) {
  double first[8] = {};
  for (int64_t i = 0; i < n; ++i) first[i] = p[i];
  return load_f64x8(first);
}

template <class T>
CODEWORD_INLINE F64x8 add_product(F64x8 a, F64x8 b, F64x8 sum) {
  if constexpr (sizeof(T) == sizeof(float)) return muladd(a, b, sum);
  return add(sum, mul(a, b));
}

template <class T>
CODEWORD_INLINE double exact_dot(const T* a, const T* b, int64_t d) {
  F64x8 sum = zero_f64x8();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) sum = add_product<T>(load_f64x8(a + i), load_f64x8(b + i), sum);
  if (i < d) sum = add_product<T>(load_f64x8_first(a + i, d - i), load_f64x8_first(b + i, d - i), sum);
  return lane_order_sum(sum);
}

template <class T>
CODEWORD_INLINE double exact_sqdist(const T* a, const T* b, int64_t d) {
  F64x8 sum = zero_f64x8();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    const F64x8 difference = sub(load_f64x8(a + i), load_f64x8(b + i));
    sum = add(sum, mul(difference, difference));
  }
  if (i < d) {
    const F64x8 difference = sub(load_f64x8_first(a + i, d - i), load_f64x8_first(b + i, d - i));
    sum = add(sum, mul(difference, difference));
  }
  return lane_order_sum(sum);
}

// exact_dot of x with several codewords.
template <int64_t kCount, class T>
CODEWORD_INLINE void exact_dots(const T* x, const T* const (&codewords)[kCount], int64_t d, double (&dots)[kCount]) {
  F64x8 sums[kCount];
  CODEWORD_UNROLL
  for (int64_t j = 0; j < kCount; ++j) sums[j] = zero_f64x8();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    const F64x8 piece = load_f64x8(x + i);
    CODEWORD_UNROLL
    for (int64_t j = 0; j < kCount; ++j) sums[j] = add_product<T>(piece, load_f64x8(codewords[j] + i), sums[j]);
  }
  if (i < d) {
    const F64x8 piece = load_f64x8_first(x + i, d - i);
    CODEWORD_UNROLL
    for (int64_t j = 0; j < kCount; ++j) {
      sums[j] = add_product<T>(piece, load_f64x8_first(codewords[j] + i, d - i), sums[j]);
    }
  }
  CODEWORD_UNROLL
  for (int64_t j = 0; j < kCount; ++j) dots[j] = lane_order_sum(sums[j]);
}
