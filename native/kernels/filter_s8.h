// The int8 filter, where the ISA has a dot product of bytes: four times the rate of float32. Rows and codewords are
// centred and each is rounded to 8 bits with a scale of its own; Cauchy's inequality with the norms of what the
// rounding lost bounds the error. A panel is [ceil(d / 4)][kVectors][kLanes] groups of four signed bytes. Rows are
// stored plus 128, as the instruction wants one side unsigned; the sums start from -128 times the sum of the codeword's
// bytes.

//
// Where the ISA has matrix registers, they multiply: tiles of 16 rows by 64 bytes with tiles of 16 codewords, 8 times
// the rate. Then a whole block of rows is multiplied with a panel at once, and scores are made of the sums in memory.

#if CODEWORD_VNNI
constexpr int64_t kMostBytesDimensions = 65536;  // 255 * 127 * d < 2^31

#if CODEWORD_AMX
constexpr int64_t kTileGroups = 16;  // a tile holds this many groups of four bytes of each codeword

// The layout of a tile register: all of them hold 16 rows of 64 bytes.
struct TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

alignas(64) constexpr TileShapes kTileShapes;

// Tile registers are a thread's own and cost it time in every context switch, so they are held only while used.
struct HeldTiles {
  HeldTiles() { _tile_loadconfig(&kTileShapes); }
  ~HeldTiles() { _tile_release(); }
};

// g++'s intrinsics do not say what memory they read: whatever is to be read must have been stored before this.
CODEWORD_INLINE void settle_memory() { __asm__ volatile("" ::: "memory"); }

// sums (rows, kVectors * 16) = start + rows times a panel, for 16 rows, or for 32.
template <int64_t kVectors, bool kTwo>
CODEWORD_INLINE void multiply_tiles(const uint8_t* rows, int64_t stride, const int32_t* panel, int64_t groups,
                                    const int32_t* start, int32_t* sums) {
  constexpr int64_t kWidth = kVectors * kLanes, kBytes = 4 * kWidth;
  constexpr bool kPair = kVectors > 1;
  for (int64_t v = 0; v < kVectors; v += 2) {
    // A stride of 0: every row of the tile starts from the same numbers.
    _tile_loadd(0, start + v * kLanes, 0);
    if (kPair) _tile_loadd(1, start + (v + 1) * kLanes, 0);
    if (kTwo) _tile_loadd(2, start + v * kLanes, 0);
    if (kTwo && kPair) _tile_loadd(3, start + (v + 1) * kLanes, 0);
    for (int64_t g = 0; g < groups; g += kTileGroups) {
      const int32_t* codewords = panel + g * kWidth + v * kLanes;
      _tile_loadd(4, rows + 4 * g, stride);
      _tile_loadd(6, codewords, kBytes);
      _tile_dpbusd(0, 4, 6);
      if (kPair) _tile_loadd(7, codewords + kLanes, kBytes);
      if (kPair) _tile_dpbusd(1, 4, 7);
      if (kTwo) _tile_loadd(5, rows + 16 * stride + 4 * g, stride);
      if (kTwo) _tile_dpbusd(2, 5, 6);
      if (kTwo && kPair) _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums + v * kLanes, kBytes);
    if (kPair) _tile_stored(1, sums + (v + 1) * kLanes, kBytes);
    if (kTwo) _tile_stored(2, sums + 16 * kWidth + v * kLanes, kBytes);
    if (kTwo && kPair) _tile_stored(3, sums + 16 * kWidth + (v + 1) * kLanes, kBytes);
  }
}
#endif

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
#if CODEWORD_AMX
  static constexpr bool kWholeBlocks = true;
  int32_t* sums;  // of a block of rows and a panel
#endif

  FilterS8(const AssignCodebook& a_book, const AssignScratch& scratch)
      : book(a_book),
        rows(reinterpret_cast<uint8_t*>(scratch.rows)),
        stride(64 * ((a_book.d + 63) / 64 | 1)),
        work(scratch.rows + (rows_of_block(a_book.d) - 1) * assign_row_stride(a_book.d)) {
#if CODEWORD_AMX
    sums = scratch.sums;
#endif
  }

  static int64_t groups(int64_t d) {
#if CODEWORD_AMX
    return round_up((d + 3) / 4, kTileGroups);
#else
    return (d + 3) / 4;
#endif
  }

  // Screening one takes as long as the next filter takes for two to four codewords; much longer where numbers are
  // subnormal, and where they are so long that they do not stay in the L2 cache, where that filter keeps them for a
  // block of rows.
  static constexpr int32_t kScreened = 8;
  int32_t most_candidates() const {
    if (book.scale >= 0x1p100f) return most_candidates_before_next_filter(book.k);
    const int64_t most = min_of(book.k / 8, (int64_t(1) << 18) / book.d);
    return static_cast<int32_t>(min_of(max_of(most, int64_t(4)), int64_t(kMostCandidates)));
  }

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

#if CODEWORD_AMX
  // The sums of rows 0 .. n - 1 and a panel, which `sum` then reads.
  template <int64_t kVectors>
  void multiply(int64_t panel, int64_t n) const {
    constexpr int64_t kWidth = kVectors * kLanes;
    const int64_t size = groups(book.d);
    const int32_t* codewords = static_cast<const int32_t*>(book.s8.panels) + panel * size * kWidth;
    const int32_t* start = book.s8.corrections + panel * kWidth;
    settle_memory();
    for (int64_t r = 0; r < n; r += 32) {
      const uint8_t* row = rows + r * stride;
      if (n - r > 16) {
        multiply_tiles<kVectors, true>(row, stride, codewords, size, start, sums + r * kWidth);
      } else {
        multiply_tiles<kVectors, false>(row, stride, codewords, size, start, sums + r * kWidth);
      }
    }
  }
#endif

  template <int64_t kRows, int64_t kVectors>
  CODEWORD_INLINE void sum(int64_t panel, int64_t r, F32 (&scores)[kRows][kVectors]) const {
    constexpr int64_t kWidth = kVectors * kLanes;
    I32 products[kRows][kVectors];
#if CODEWORD_AMX
    CODEWORD_UNROLL
    for (int64_t t = 0; t < kRows; ++t) {
      CODEWORD_UNROLL
      for (int64_t v = 0; v < kVectors; ++v) products[t][v] = load(sums + (r + t) * kWidth + v * kLanes);
    }
#else
    const int64_t n = groups(book.d);
    start_tile(book.s8.corrections + panel * kWidth, products);
    multiply_tile<Multiply>(static_cast<const int32_t*>(book.s8.panels) + panel * n * kWidth, rows + r * stride, stride,
                            n, products);
#endif
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const F32 offset = load(static_cast<const float*>(book.s8.offsets) + panel * kWidth + v * kLanes);
      const F32 scale = load(book.s8.scales + panel * kWidth + v * kLanes);
      CODEWORD_UNROLL
      for (int64_t t = 0; t < kRows; ++t) {
        scores[t][v] = muladd(mul(to_float(products[t][v]), scale), splat(scales[r + t]), offset);
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
  for (int64_t i = 0; i < groups; ++i) {
    column[i * width] = 4 * i < d ? static_cast<int32_t>(load_u32(bytes + 4 * i)) : 0;
  }
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
