// Scores of a tile of rows against a panel of codewords, and what is kept of them. A filter gives approximate scores A
// with a proven bound |A - exact| <= slack / 2; so codewords with A > min A + slack cannot be nearest.
//
// The n x k matrix is never written: scores of a block of rows x kChunkCodewords codewords live in scratch that stays
// in the L2 cache, together with `groups`, the minimum over the kPanelVectors vectors of a panel. Groups are searched
// for scores below the threshold, a quarter of the work of searching the scores.

constexpr int64_t kBlockRows = 96;    // the most rows of a block
constexpr int64_t kBatchRows = 1536;  // go through one filter before some of them go through the next
constexpr int64_t kChunkCodewords = 1024;
constexpr int64_t kPanelCacheBytes = 24 << 10;   // panels that a block of rows meets before the next ones: half an L1
constexpr int64_t kChunkCacheBytes = 512 << 10;  // panels of a chunk: half an L2

// A block meets the whole codebook, which comes from the L3 cache or memory where it is long: then twice the rows share
// that way. A multiple of kTileRows.
constexpr int64_t rows_of_block(int64_t d) { return d < 1024 ? kBlockRows / 2 : kBlockRows; }

// Where the scores of a chunk are: tile by tile, in a tile panel by panel, so that a tile is written to one place.
template <int64_t kVectors>
struct ScoreLayout {
  static constexpr int64_t kWidth = kVectors * kLanes;
  static constexpr int64_t kPanelsAWord = 64 / kLanes;  // groups are searched 64 at a time
  static constexpr int64_t kScoreStep = kTileRows * kWidth, kGroupStep = kTileRows * kLanes;  // from panel to panel

  static int64_t score(int64_t chunk, int64_t r, int64_t panel) {
    return (r / kTileRows * chunk + panel) * kScoreStep + r % kTileRows * kWidth;
  }
  static int64_t group(int64_t chunk, int64_t r, int64_t panel) {
    return (r / kTileRows * round_up(chunk, kPanelsAWord) + panel) * kGroupStep + r % kTileRows * kLanes;
  }
};

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = F32;
  static constexpr float kMost = __builtin_huge_valf();
};
template <>
struct VectorOf<int32_t> {
  using type = I32;
  static constexpr int32_t kMost = 0x7fffffff;
};

// sums[t][v] = Multiply::run(sums[t][v], x, c) for the 4-byte words x of rows t and the vectors c of a panel
// [steps][kVectors][kLanes], word by word. `rows` is the first of the tile's rows, which are row_bytes apart.
template <class Multiply, int64_t kRows, int64_t kVectors>
CODEWORD_INLINE void multiply_tile(const void* panel, const void* rows, int64_t row_bytes, int64_t steps,
                                   typename Multiply::Vector (&sums)[kRows][kVectors]) {
  using Word = typename Multiply::Word;
  using Vector = typename Multiply::Vector;
  const Word* CODEWORD_RESTRICT codewords = static_cast<const Word*>(panel);
  // Two row pointers and one stride address all six rows: more would be spilled.
  const int64_t step = hide(row_bytes);
  const char* upper = static_cast<const char*>(rows);
  const char* lower = upper + 3 * step;
  for (int64_t i = 0; i < steps; ++i) {
    upper = hide(upper);
    lower = hide(lower);
    Vector c[kVectors];
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) c[v] = hide(load(codewords + v * kLanes));
    CODEWORD_UNROLL
    for (int64_t t = 0; t < kRows; ++t) {
      const Vector x = splat(*reinterpret_cast<const Word*>(t < 3 ? upper + t * step : lower + (t - 3) * step));
      CODEWORD_UNROLL
      for (int64_t v = 0; v < kVectors; ++v) sums[t][v] = Multiply::run(sums[t][v], x, c[v]);
    }
    codewords += kVectors * kLanes;
    upper += sizeof(Word);
    lower += sizeof(Word);
  }
}

// Every row of a tile starts from the same vectors.
template <class T, class Vector, int64_t kRows, int64_t kVectors>
CODEWORD_INLINE void start_tile(const T* values, Vector (&sums)[kRows][kVectors]) {
  CODEWORD_UNROLL
  for (int64_t v = 0; v < kVectors; ++v) {
    const Vector value = load(values + v * kLanes);
    CODEWORD_UNROLL
    for (int64_t t = 0; t < kRows; ++t) sums[t][v] = value;
  }
}

// Writes the scores of `kRows` rows against one panel, and their minima over the panel's vectors.
template <int64_t kRows, int64_t kVectors, class Filter>
CODEWORD_INLINE void score_tile(const Filter& filter, int64_t panel, int64_t row,
                                typename Filter::Score* CODEWORD_RESTRICT scores,
                                typename Filter::Score* CODEWORD_RESTRICT groups) {
  using Vector = typename VectorOf<typename Filter::Score>::type;
  Vector sums[kRows][kVectors];
  filter.template sum<kRows, kVectors>(panel, row, sums);
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kRows; ++r) {
    Vector least = sums[r][0];
    store(scores + r * kVectors * kLanes, least);
    CODEWORD_UNROLL
    for (int64_t v = 1; v < kVectors; ++v) {
      store(scores + (r * kVectors + v) * kLanes, sums[r][v]);
      least = min(least, sums[r][v]);
    }
    store(groups + r * kLanes, least);
  }
}
