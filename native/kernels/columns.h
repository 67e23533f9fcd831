// What a grid of columns needs: their ranges, and exact sums of the integers that a grid makes of them and of their
// squares.

// low[j] and high[j] take in the column j of n rows.
void column_range(const float* x, int64_t stride, int64_t n, int64_t d, float* low, float* high) {
  for (int64_t j = 0; j < d; j += kLanes) {
    const int64_t width = min_of(d - j, kLanes);
    F32 least = load_first(low + j, width), most = load_first(high + j, width);
    if (width == kLanes) {
      for (int64_t i = 0; i < n; ++i) {
        const F32 value = load(x + i * stride + j);
        least = min(least, value);
        most = max(most, value);
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const F32 value = load_first(x + i * stride + j, width);
        least = min(least, value);
        most = max(most, value);
      }
    }
    float lanes[2][kLanes];
    store(lanes[0], least);
    store(lanes[1], most);
    for (int64_t l = 0; l < width; ++l) {
      low[j + l] = lanes[0][l];
      high[j + l] = lanes[1][l];
    }
  }
}

// Adding and taking off 1.5 * 2^(52 + p) rounds to a multiple of 2^p, ties to even.
constexpr double kToInteger = 0x1.8p52, kToUpperHalf = 0x1.8p78, kHalf = 0x1p-26;

CODEWORD_INLINE F64x8 rounded(F64x8 a, double magic) { return sub(add(a, splat_f64x8(magic)), splat_f64x8(magic)); }

// Integers of at most 26 bits, and their squares in halves of 26 bits: every sum of up to 2^26 rows is exact.
struct ColumnSums {
  F64x8 first = zero_f64x8(), upper = zero_f64x8(), lower = zero_f64x8();

  CODEWORD_INLINE void add_row(F64x8 x, F64x8 shift, F64x8 scale) {
    const F64x8 y = rounded(mul(sub(x, shift), scale), kToInteger);
    const F64x8 square = mul(y, y), high = rounded(square, kToUpperHalf);
    first = add(first, y);
    upper = add(upper, mul(high, splat_f64x8(kHalf)));
    lower = add(lower, sub(square, high));
  }
};

void column_sums(const float* x, int64_t stride, int64_t n, int64_t d, const double* shift, const double* scale,
                 double* sums) {
  for (int64_t j = 0; j < d; j += 8) {
    const int64_t width = min_of(d - j, int64_t(8));
    double grid[2][8] = {};
    for (int64_t l = 0; l < width; ++l) {
      grid[0][l] = shift[j + l];
      grid[1][l] = scale[j + l];
    }
    const F64x8 shifts = load_f64x8(grid[0]), scales = load_f64x8(grid[1]);
    ColumnSums total;
    if (width == 8) {
      for (int64_t i = 0; i < n; ++i) total.add_row(load_f64x8(x + i * stride + j), shifts, scales);
    } else {
      for (int64_t i = 0; i < n; ++i) total.add_row(load_f64x8_first(x + i * stride + j, width), shifts, scales);
    }
    double out[3][8];
    store_f64x8(out[0], total.first);
    store_f64x8(out[1], total.upper);
    store_f64x8(out[2], total.lower);
    for (int64_t s = 0; s < 3; ++s) {
      for (int64_t l = 0; l < width; ++l) sums[s * d + j + l] = out[s][l];
    }
  }
}
