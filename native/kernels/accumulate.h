// Sums of rows by label. A product x * weight is exact in float64 (rounded, for float64 rows) and so is its scaling by
// a power of two; it is rounded once to an integer, and integers add up to the same in any order.

// sums += sign * round(x * factor * scales). Rounding to nearest is symmetric, so taking a row out undoes putting it
// in.
template <class T>
inline void add_row(const AccumulateRows<T>& rows, const T* x, double factor, int64_t* sums) {
  const F64x8 factors = splat_f64x8(factor);
  int64_t j = 0;
  for (; j + 8 <= rows.d; j += 8) {
    add_rounded(sums + j, mul(mul(load_f64x8(x + j), factors), load_f64x8(rows.scales + j)));
  }
  if (j == rows.d) return;
  const int64_t rest = rows.d - j;
  int64_t tail[8] = {};
  double scales[8] = {};
  for (int64_t i = 0; i < rest; ++i) scales[i] = rows.scales[j + i];
  add_rounded(tail, mul(mul(load_f64x8_first(x + j, rest), factors), load_f64x8(scales)));
  for (int64_t i = 0; i < rest; ++i) sums[j + i] += tail[i];
}

template <class T>
inline void accumulate_rows(const AccumulateRows<T>& rows, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const int32_t label = rows.labels[i];
    if (rows.old_labels && rows.old_labels[i] == label) continue;
    const T* x = rows.x + i * rows.x_stride;
    const double weight = rows.weights ? rows.weights[i] : 1.0;
    add_row(rows, x, weight, rows.sums + label * rows.sums_stride);
    if (rows.old_labels) add_row(rows, x, -weight, rows.sums + rows.old_labels[i] * rows.sums_stride);
  }
}

void accumulate(const AccumulateRows<float>& rows, int64_t n) { accumulate_rows(rows, n); }

void accumulate_wide(const AccumulateRows<double>& rows, int64_t n) { accumulate_rows(rows, n); }
