// Inner products for tables of scores and for scores of decoded rows, and the sums that the estimator's side data need.
// All in float64 and lane order (ARCHITECTURE.md, Exactness).

// out[c] = <query, codeword c> for the k columns of `columns` (d, step), step a multiple of 8 and columns beyond k
// readable. Eight codewords a vector, so a lane of the lane order is a pass over the coordinates l, l + 8, ... of all
// of them.
void products(const float* query, const float* columns, int64_t d, int64_t k, int64_t step, double* out) {
  constexpr int kBlock = 2;  // vectors of codewords at once: two chains of additions
  for (int64_t c = 0; c < k; c += 8 * kBlock) {
    F64x8 lanes[8][kBlock];
    for (int64_t l = 0; l < 8; ++l) {
      F64x8 sum[kBlock];
      for (int b = 0; b < kBlock; ++b) sum[b] = zero_f64x8();
      for (int64_t i = l; i < d; i += 8) {
        const F64x8 x = splat_f64x8(query[i]);
        for (int b = 0; b < kBlock; ++b) sum[b] = muladd(x, load_f64x8(columns + i * step + c + 8 * b), sum[b]);
      }
      for (int b = 0; b < kBlock; ++b) lanes[l][b] = sum[b];
    }
    for (int b = 0; b < kBlock && c + 8 * b < k; ++b) {
      for (int l = 0; l < 4; ++l) lanes[l][b] = add(lanes[l][b], lanes[l + 4][b]);
      for (int l = 0; l < 2; ++l) lanes[l][b] = add(lanes[l][b], lanes[l + 2][b]);
      double eight[8];
      const F64x8 sums = add(lanes[0][b], lanes[1][b]);
      __builtin_memcpy(eight, &sums, sizeof eight);
      for (int64_t j = 0; j < 8 && c + 8 * b + j < k; ++j) out[c + 8 * b + j] = eight[j];
    }
  }
}

// out (n, 3): <a, a>, <a, b> and <x, x> of a = x - mean and b = y - mean, for rows x of X and y of Y.
void centred_sums(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out) {
  for (int64_t i = 0; i < n; ++i, x += d, y += d, out += 3) {
    F64x8 aa = zero_f64x8(), ab = zero_f64x8(), xx = zero_f64x8();
    int64_t j = 0;
    const auto take = [&](F64x8 p, F64x8 q, F64x8 m) {
      const F64x8 a = sub(p, m), b = sub(q, m);
      aa = add(aa, mul(a, a));
      ab = add(ab, mul(a, b));
      xx = add(xx, mul(p, p));
    };
    for (; j + 8 <= d; j += 8) take(load_f64x8(x + j), load_f64x8(y + j), load_f64x8(mean + j));
    if (j < d) {
      double rest[8] = {};
      for (int64_t l = 0; l < d - j; ++l) rest[l] = mean[j + l];
      take(load_f64x8_first(x + j, d - j), load_f64x8_first(y + j, d - j), load_f64x8(rest));
    }
    out[0] = lane_order_sum(aa);
    out[1] = lane_order_sum(ab);
    out[2] = lane_order_sum(xx);
  }
}
