// The int16 filter for short vectors, where the ISA has a dot product of pairs of int16: twice the rate of float32, and
// scores that are integers, so that neither a multiplication nor the norm of the row is needed to finish them. Rows and
// codewords are centred and rounded to one grid that all of them share; score = |c|^2 / 2 - <x, c> in units of its
// square. A panel is [ceil(d / 2)][kVectors][kLanes] pairs of -c.

#if CODEWORD_VNNI
constexpr float kLargestWord =
    32000;  // rows with a larger coordinate, in units of the grid, are left to the next filter

// Whether this filter beats the int8 one, which does twice as much a cycle but leaves more candidates and finishes its
// scores in float32: measured on an Intel Xeon with AMX (Granite Rapids), d = 8 ... 128, k = 256 and 4096.
inline bool words_beat_bytes(int64_t d, int64_t k) { return d <= 32 || (d <= 96 && k <= 512); }

struct FilterS16 {
  using Score = int32_t;
  const AssignCodebook& book;
  int16_t* rows;
  int64_t stride;

  FilterS16(const AssignCodebook& a_book, const AssignScratch& scratch)
      : book(a_book), rows(reinterpret_cast<int16_t*>(scratch.rows)), stride(round_up(a_book.d, kLanes)) {}

  static int64_t pairs(int64_t d) { return (d + 1) / 2; }

  int32_t most_candidates() const { return most_candidates_before_next_filter(book.k); }

  int64_t panels_in(int64_t bytes) const {
    return max_of(int64_t(1), bytes / (4 * pairs(book.d) * book.panel_vectors * kLanes));
  }

  int32_t load_row(const float* x, int64_t r) {
    const int64_t d = book.d;
    uint32_t inside = ~0u;
    F32 squares = splat(0.0f);
    for (int64_t i = 0; i < d; i += kLanes) {
      const F32 value = d - i < kLanes ? load_first(x + i, d - i) : load(x + i);
      const F32 scaled = muladd(value, splat(book.s16.scale), load(book.s16.centre + i));
      inside &= le_bits(abs(scaled), splat(kLargestWord));
      squares = muladd(scaled, scaled, squares);
      store_words(rows + r * stride + i, to_int(scaled));
    }
    if ((inside & kAllLanes) != kAllLanes) return VectorOf<int32_t>::kMost;
    return static_cast<int32_t>(book.s16.base + book.s16.per_norm * sqrt_of(lane_sum(squares)));
  }

  struct Multiply {
    using Word = int32_t;
    using Vector = I32;
    static CODEWORD_INLINE I32 run(I32 sum, I32 x, I32 c) { return dot_s16(sum, x, c); }
  };

  template <int64_t kRows, int64_t kVectors>
  CODEWORD_INLINE void sum(int64_t panel, int64_t r, I32 (&sums)[kRows][kVectors]) const {
    constexpr int64_t kWidth = kVectors * kLanes;
    const int64_t n = pairs(book.d);
    start_tile(book.s16.offsets + panel * kWidth, sums);
    multiply_tile<Multiply>(book.s16.panels + panel * n * kWidth, rows + r * stride, 2 * stride, n, sums);
  }
};

// Coordinate i of codeword c in units of the grid.
CODEWORD_INLINE double on_grid(const AssignCodebook& book, int64_t c, int64_t i) {
  return static_cast<double>(book.codewords[c * book.d + i]) * book.s16.scale + book.s16.centre[i];
}

inline double square_s16(const AssignCodebook& book, int64_t c) {
  double square = 0;
  for (int64_t i = 0; i < book.d; ++i) square += on_grid(book, c, i) * on_grid(book, c, i);
  return square;
}

// Codeword c, rounded to the grid and negated, in column c of its panel; returns |c - rounded|^2.
inline double pack_codeword_s16(AssignCodebook& book, int64_t c) {
  const int64_t n = FilterS16::pairs(book.d), width = book.panel_vectors * kLanes;
  int16_t* column = reinterpret_cast<int16_t*>(book.s16.panels + c / width * n * width + c % width);
  int16_t* row = book.s16.pairs ? reinterpret_cast<int16_t*>(book.s16.pairs + c * n) : nullptr;
  double loss = 0;
  for (int64_t i = 0; i < 2 * n; ++i) {
    const double value = i < book.d ? on_grid(book, c, i) : 0;
    const int32_t rounded = static_cast<int32_t>(value + (value < 0 ? -0.5 : 0.5));
    column[i / 2 * width * 2 + i % 2] = static_cast<int16_t>(-rounded);
    if (row) row[i] = static_cast<int16_t>(-rounded);
    loss += (value - rounded) * (value - rounded);
  }
  book.s16.offsets[c] = static_cast<int32_t>(square_s16(book, c) / 2 + 0.5);
  return loss;
}

// The slack, given how far codewords reach and what their rounding lost, both in units of the grid. Rows are rounded by
// at most 0.505 a coordinate (the 0.005 for the float32 operations before), so |rounded x| <= |x| + 0.505 sqrt(d).
inline void bound_s16(AssignCodebook& book, const CodebookShape& shape, double grid, double radius, double lost) {
  const double row_lost = 0.505 * sqrt_of(static_cast<double>(book.d)), up = 1 + 0x1p-18;
  const double norm = shape.norm * grid * up, centre = shape.centre * grid * up, exact = exact_form_error(book.d);
  // Half a score, in units of the grid; |x| there is at most |rounded x| + row_lost.
  const RoundingError wide = rounding_error(shape);
  const double wide_base = wide.base * grid * grid / 2, wide_norm = wide.per_norm * grid / 2;
  book.s16.base =
      static_cast<float>(2 * up *
                         (row_lost * radius + row_lost * lost + exact * norm * (norm / 2 + centre + row_lost) + 2 +
                          wide_base + wide_norm * row_lost));
  book.s16.per_norm = static_cast<float>(2 * up * (lost + exact * norm + wide_norm));
}

// Chooses the grid, packs, and derives the bound. The filter is not used where a sum could reach 2^31 (a centre so far
// off that float32 cannot centre on it) or the slack is too large to exclude anything.
inline void pack_s16(AssignCodebook& book, const CodebookShape& shape) {
  const int64_t d = book.d, width = book.panel_vectors * kLanes;
  // Scores are below radius^2 / 2 + radius * kLargestWord sqrt(d) < 2^31.
  double radius = 0.9 * 0x1p31 / (kLargestWord * sqrt_of(static_cast<double>(d)));
  if (radius > 15000) radius = 15000;
  book.has_s16 = shape.radius > 0x1p-40;
  if (!book.has_s16) return;
  const double grid = radius / shape.radius;
  book.s16.scale = static_cast<float>(book.scale * grid);
  for (int64_t i = 0; i < round_up(d, kLanes); ++i) book.s16.centre[i] = static_cast<float>(book.centre[i] * grid);
  double largest = 0, loss = 0;
  for (int64_t c = 0; c < book.k; ++c) largest = max_of(largest, square_s16(book, c));
  largest = sqrt_of(largest) * (1 + 0x1p-30);
  book.has_s16 = largest < 1.01 * radius;
  if (!book.has_s16) return;
  for (int64_t c = 0; c < book.k; ++c) loss = max_of(loss, pack_codeword_s16(book, c));
  for (int64_t c = book.k; c < round_up(book.k, width); ++c) {
    int32_t* column = book.s16.panels + c / width * FilterS16::pairs(d) * width + c % width;
    for (int64_t i = 0; i < FilterS16::pairs(d); ++i) {
      column[i * width] = 0;
      if (book.s16.pairs) book.s16.pairs[c * FilterS16::pairs(d) + i] = 0;
    }
    book.s16.offsets[c] = VectorOf<int32_t>::kMost;
  }
  bound_s16(book, shape, grid, largest, sqrt_of(loss) * (1 + 0x1p-30));
  book.has_s16 = book.s16.base + book.s16.per_norm * kLargestWord * sqrt_of(static_cast<double>(d)) < 0x1p26;
}
#endif
