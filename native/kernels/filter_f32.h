// The float32 filter, on every ISA. Rows and codewords are centred and scaled by a power of two; a panel holds -2c with
// the dimension outermost, [d][kVectors][kLanes], and the sums start from |c|^2, so that they end as scores.

struct FilterF32 {
  using Score = float;
  const AssignCodebook& book;
  float* rows;
  int64_t stride;

  FilterF32(const AssignCodebook& a_book, const AssignScratch& scratch)
      : book(a_book), rows(scratch.rows), stride(assign_row_stride(a_book.d)) {}

  // Centred row r; returns the slack of its scores, infinite when they could overflow.
  float load_row(const float* x, int64_t r) {
    float* row = rows + r * stride;
    F32 squares = splat(0.0f);
    for (int64_t i = 0; i < book.d; i += kLanes) {
      const F32 value = centred(book, x, i);
      store(row + i, value);
      squares = muladd(value, value, squares);
    }
    const float norm = sqrt_of(lane_sum(squares));
    if (!(norm < kLargestNorm)) return VectorOf<float>::kMost;
    return static_cast<float>(book.f32.base + book.f32.per_norm * norm);
  }

  int32_t most_candidates() const { return kMostCompared; }

  // How many panels fill `bytes` of a cache; at least one.
  int64_t panels_in(int64_t bytes) const {
    return max_of(int64_t(1), bytes / (4 * book.d * book.panel_vectors * kLanes));
  }

  struct Multiply {
    using Word = float;
    using Vector = F32;
    static CODEWORD_INLINE F32 run(F32 sum, F32 x, F32 c) { return muladd(x, c, sum); }
  };

  template <int64_t kRows, int64_t kVectors>
  CODEWORD_INLINE void sum(int64_t panel, int64_t r, F32 (&sums)[kRows][kVectors]) const {
    constexpr int64_t kWidth = kVectors * kLanes;
    start_tile(static_cast<const float*>(book.f32.offsets) + panel * kWidth, sums);
    multiply_tile<Multiply>(static_cast<const float*>(book.f32.panels) + panel * book.d * kWidth, rows + r * stride,
                            4 * stride, book.d, sums);
  }
};

inline void pack_f32(AssignCodebook& book, const CodebookShape& shape) {
  const int64_t k = book.k, d = book.d, width = book.panel_vectors * kLanes;
  float* offsets = static_cast<float*>(book.f32.offsets);
  for (int64_t c = 0; c < round_up(k, width); ++c) {
    float* column = static_cast<float*>(book.f32.panels) + c / width * d * width + c % width;
    for (int64_t i = 0; i < d; i += kLanes) {
      const F32 value = c < k ? centred(book, book.codewords + c * d, i) : splat(0.0f);
      store(shape.row + i, mul(value, splat(-2.0f)));
    }
    for (int64_t i = 0; i < d; ++i) column[i * width] = shape.row[i];
    offsets[c] = c < k ? static_cast<float>(shape.squares[c] * book.scale * book.scale) : VectorOf<float>::kMost;
  }
  const double gamma = 1.01 * kU32 * static_cast<double>(d + 16);
  book.f32.base = gamma * shape.radius * shape.radius;
  book.f32.per_norm = gamma * 2 * shape.radius;
  book.f32.per_residual = 0;
  finish_bound(book.f32, shape, d);
}
