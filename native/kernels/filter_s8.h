// The int8 filter, where the ISA has a dot product of bytes: four times the rate of float32. Rows and codewords are
// centred and each is rounded to 8 bits with a scale of its own; Cauchy's inequality with the norms of what the
// rounding lost bounds the error. A panel is [ceil(d / 4)][kVectors][kLanes] groups of four signed bytes. Rows are
// stored plus 128, as the instruction wants one side unsigned; the sums start from -128 times the sum of the codeword's
// bytes.

#if CODEWORD_VNNI
constexpr int64_t kMostBytesDimensions = 65536;  // 255 * 127 * d < 2^31

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
    const int64_t d = book.d;
    F32 largest = splat(0.0f), squares = splat(0.0f), losses = splat(0.0f);
    for (int64_t i = 0; i < d; i += kLanes) {
      const F32 value = d - i < kLanes ? load_first(x + i, d - i) : load(x + i);
      const F32 centred = muladd(value, splat(book.scale), load(book.centre + i));
      store(work + i, centred);
      largest = max(largest, abs(centred));
      squares = muladd(centred, centred, squares);
    }
    const float norm = sqrt_of(lane_sum(squares)), most = lane_max(largest);
    if (!(norm < kLargestNorm)) return VectorOf<float>::kMost;
    const float scale = most * (1.0f / 127), inverse = most > 0x1p-100f ? 127 / most : 0;
    for (int64_t i = 0; i < d; i += kLanes) {
      const F32 centred = load(work + i);
      const I32 rounded = to_int(mul(centred, splat(inverse)));
      const F32 loss = muladd(to_float(rounded), splat(-scale), centred);
      losses = muladd(loss, loss, losses);
      store_bytes(rows + r * stride + i, add(rounded, splat(int32_t(128))));
    }
    scales[r] = -2 * scale;
    const AssignFilter& bound = book.s8;
    return static_cast<float>(bound.base + bound.per_norm * norm + bound.per_residual * sqrt_of(lane_sum(losses)));
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

// Codeword c, centred, rounded to bytes in column c of its panel; returns |c - rounded|^2.
inline double pack_codeword_s8(AssignCodebook& book, int64_t c) {
  const int64_t d = book.d, width = book.panel_vectors * kLanes;
  int8_t* column = static_cast<int8_t*>(book.s8.panels) + 4 * (c / width * FilterS8::groups(d) * width + c % width);
  double largest = 0, square = 0, loss = 0;
  int32_t sum = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double value = centred(book, c, i);
    largest = max_of(largest, value < 0 ? -value : value);
    square += value * value;
  }
  const float scale = static_cast<float>(largest / 127);
  const double inverse = largest > 0x1p-100 ? 127 / largest : 0;
  for (int64_t i = 0; i < 4 * FilterS8::groups(d); ++i) {
    const double value = i < d ? centred(book, c, i) : 0, scaled = value * inverse;
    const int32_t rounded = static_cast<int32_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
    column[i / 4 * width * 4 + i % 4] = static_cast<int8_t>(rounded);
    sum += rounded;
    const double difference = value - static_cast<double>(scale) * rounded;
    loss += difference * difference;
  }
  static_cast<float*>(book.s8.offsets)[c] = static_cast<float>(square);
  book.s8.scales[c] = scale;
  book.s8.corrections[c] = -128 * sum;
  return loss;
}

inline void pack_s8(AssignCodebook& book, const CodebookShape& shape) {
  const int64_t width = book.panel_vectors * kLanes;
  double loss = 0;
  for (int64_t c = 0; c < book.k; ++c) loss = max_of(loss, pack_codeword_s8(book, c));
  for (int64_t c = book.k; c < round_up(book.k, width); ++c) {
    int32_t* column = static_cast<int32_t*>(book.s8.panels) + c / width * FilterS8::groups(book.d) * width + c % width;
    for (int64_t i = 0; i < FilterS8::groups(book.d); ++i) column[i * width] = 0;
    static_cast<float*>(book.s8.offsets)[c] = VectorOf<float>::kMost;
    book.s8.scales[c] = 0;
    book.s8.corrections[c] = 0;
  }
  const double lost = sqrt_of(loss) * (1 + 0x1p-30), rounded = shape.radius + lost;
  book.s8.base = 8 * kU32 * shape.radius * shape.radius;
  book.s8.per_norm = 2 * (lost + 2 * kU32 * shape.radius + 8 * kU32 * rounded);
  book.s8.per_residual = 2 * (rounded + 8 * kU32 * rounded);
  finish_bound(book.s8, shape, book.d);
}
#endif
