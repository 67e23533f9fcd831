// The exact forms that decide every assignment (ARCHITECTURE.md, Exactness): float64 sums in lane order. Products of
// float32 are exact in float64, so a dot product is the same fused or not; squared differences are not exact, so there
// multiply and add round apart.

CODEWORD_INLINE double exact_dot(const float* a, const float* b, int64_t d) {
  F64x8 sum = zero_f64x8();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) sum = muladd(load_f64x8(a + i), load_f64x8(b + i), sum);
  if (i < d) sum = muladd(load_f64x8_first(a + i, d - i), load_f64x8_first(b + i, d - i), sum);
  return lane_order_sum(sum);
}

CODEWORD_INLINE double exact_sqdist(const float* a, const float* b, int64_t d) {
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

// Four dot products at a time: their sums do not wait for each other, and x is converted once.
CODEWORD_INLINE void exact_dots(const float* x, const float* const (&codewords)[4], int64_t d, double (&dots)[4]) {
  F64x8 sums[4] = {zero_f64x8(), zero_f64x8(), zero_f64x8(), zero_f64x8()};
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    const F64x8 piece = load_f64x8(x + i);
    CODEWORD_UNROLL
    for (int j = 0; j < 4; ++j) sums[j] = muladd(piece, load_f64x8(codewords[j] + i), sums[j]);
  }
  if (i < d) {
    const F64x8 piece = load_f64x8_first(x + i, d - i);
    CODEWORD_UNROLL
    for (int j = 0; j < 4; ++j) sums[j] = muladd(piece, load_f64x8_first(codewords[j] + i, d - i), sums[j]);
  }
  CODEWORD_UNROLL
  for (int j = 0; j < 4; ++j) dots[j] = lane_order_sum(sums[j]);
}
