// The int8 filter, where the ISA has a dot product of bytes: four times the rate of float32. Rows and codewords are
// centred and each is rounded to 8 bits with a scale of its own; Cauchy's inequality with the norms of what the
// rounding lost bounds the error. A panel is [ceil(d / 4)][kVectors][kLanes] groups of four signed bytes. Rows are
// stored plus 128, as the instruction wants one side unsigned; the sums start from -128 times the sum of the codeword's
// bytes.

#if CODEWORD_VNNI
constexpr int64_t kMostBytesDimensions = 65536;  // 255 * 127 * d < 2^31

struct RoundedRow {
  float scale, norm, lost;  // row = scale * bytes + a rest of norm `lost`; `norm` is the row's own
};

// Rounds x, centred, to bytes from -127 to 127 and adds `plus`. `work` holds d floats.
inline RoundedRow round_to_bytes(const AssignCodebook& book, const float* x, float* work, uint8_t* bytes,
                                 int32_t plus) {
  F32 largest = splat(0.0f), squares = splat(0.0f), losses = splat(0.0f);
  for (int64_t i = 0; i < book.d; i += kLanes) {
    const F32 value = centred(book, x, i);
    store(work + i, value);
    largest = max(largest, abs(value));
    squares = muladd(value, value, squares);
  }
  const float most = lane_max(largest), scale = most * (1.0f / 127), inverse = most > 0x1p-100f ? 127 / most : 0;
  for (int64_t i = 0; i < book.d; i += kLanes) {
    const F32 value = load(work + i);
    const I32 rounded = to_int(mul(value, splat(inverse)));
    const F32 loss = muladd(to_float(rounded), splat(-scale), value);
    losses = muladd(loss, loss, losses);
    store_bytes(bytes + i, add(rounded, splat(plus)));
  }
  return {scale, sqrt_of(lane_sum(squares)), sqrt_of(lane_sum(losses))};
}

struct FilterS8 {
  using Score = float;
  const AssignCodebook& book;
  uint8_t* rows;
  int64_t stride;
  float* work;               // one centred row
  float scales[kBlockRows];  // of the rows, times -2

  FilterS8(const AssignCodebook& a_book, const AssignScratch& scratch)
      : book(a_book),
        rows(reinterpret_cast<uint8_t*>(scratch.rows)),
        stride(64 * ((a_book.d + 63) / 64 | 1)),
        work(scratch.rows + (kBlockRows - 1) * assign_row_stride(a_book.d)) {}

  static int64_t groups(int64_t d) { return (d + 3) / 4; }

  int32_t most_candidates() const { return most_candidates_before_next_filter(book.k); }

  int64_t panels_in(int64_t bytes) const {
    return max_of(int64_t(1), bytes / (4 * groups(book.d) * book.panel_vectors * kLanes));
  }

  float load_row(const float* x, int64_t r) {
    const RoundedRow row = round_to_bytes(book, x, work, rows + r * stride, 128);
    scales[r] = -2 * row.scale;
    if (!(row.norm < kLargestNorm)) return VectorOf<float>::kMost;
    return static_cast<float>(book.s8.base + book.s8.per_norm * row.norm + book.s8.per_residual * row.lost);
  }

  struct Multiply {
    using Word = int32_t;
    using Vector = I32;
    static CODEWORD_INLINE I32 run(I32 sum, I32 x, I32 c) { return dot_u8s8(sum, x, c); }
  };

  template <int64_t kRows, int64_t kVectors>
  CODEWORD_INLINE void sum(int64_t panel, int64_t r, F32 (&scores)[kRows][kVectors]) const {
    constexpr int64_t kWidth = kVectors * kLanes;
    const int64_t n = groups(book.d);
    I32 sums[kRows][kVectors];
    start_tile(book.s8.corrections + panel * kWidth, sums);
    multiply_tile<Multiply>(static_cast<const int32_t*>(book.s8.panels) + panel * n * kWidth, rows + r * stride, stride,
                            n, sums);
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const F32 offset = load(static_cast<const float*>(book.s8.offsets) + panel * kWidth + v * kLanes);
      const F32 scale = load(book.s8.scales + panel * kWidth + v * kLanes);
      CODEWORD_UNROLL
      for (int64_t t = 0; t < kRows; ++t) {
        scores[t][v] = muladd(mul(to_float(sums[t][v]), scale), splat(scales[r + t]), offset);
      }
    }
  }
};

// Puts codeword c into its column of a panel; returns the norm of what its rounding lost.
inline float pack_codeword_s8(AssignCodebook& book, const CodebookShape& shape, int64_t c) {
  const int64_t d = book.d, groups = FilterS8::groups(d), width = book.panel_vectors * kLanes;
  int32_t* column = static_cast<int32_t*>(book.s8.panels) + c / width * groups * width + c % width;
  uint8_t* bytes = reinterpret_cast<uint8_t*>(shape.sums);
  const RoundedRow row = round_to_bytes(book, book.codewords + c * d, shape.row, bytes, 0);
  int32_t sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += static_cast<int8_t>(bytes[i]);
  for (int64_t i = 0; i < groups; ++i) column[i * width] = static_cast<int32_t>(load_u32(bytes + 4 * i));
  static_cast<float*>(book.s8.offsets)[c] = static_cast<float>(shape.squares[c] * book.scale * book.scale);
  book.s8.scales[c] = row.scale;
  book.s8.corrections[c] = -128 * sum;
  return row.lost;
}

inline void pack_s8(AssignCodebook& book, const CodebookShape& shape) {
  const int64_t groups = FilterS8::groups(book.d), width = book.panel_vectors * kLanes;
  float most_lost = 0;
  for (int64_t c = 0; c < book.k; ++c) most_lost = max_of(most_lost, pack_codeword_s8(book, shape, c));
  for (int64_t c = book.k; c < round_up(book.k, width); ++c) {
    int32_t* column = static_cast<int32_t*>(book.s8.panels) + c / width * groups * width + c % width;
    for (int64_t i = 0; i < groups; ++i) column[i * width] = 0;
    static_cast<float*>(book.s8.offsets)[c] = VectorOf<float>::kMost;
    book.s8.scales[c] = 0;
    book.s8.corrections[c] = 0;
  }
  const double up = 1 + 2 * static_cast<double>(book.d + 64) * kU32;
  const double lost = most_lost * up + 2 * kU32 * shape.radius + static_cast<double>(book.d) * 0x1p-70;
  const double rounded = shape.radius + lost;
  book.s8.base = 8 * kU32 * shape.radius * shape.radius;
  book.s8.per_norm = 2 * (lost + 2 * kU32 * shape.radius + 8 * kU32 * rounded);
  book.s8.per_residual = 2 * (rounded + 8 * kU32 * rounded);
  finish_bound(book.s8, shape, book.d);
}
#endif
