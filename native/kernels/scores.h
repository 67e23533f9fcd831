// Scores of a tile of rows against a panel of codewords, and what is kept of them. A filter gives approximate scores A
// with a proven bound |A - exact| <= slack / 2; so codewords with A > min A + slack cannot be nearest.
//
// The n x k matrix is never written: scores of kBlockRows rows x kChunkCodewords codewords live in scratch that stays
// in the L2 cache, together with `groups`, the minimum over the kPanelVectors vectors of a panel. Groups are searched
// for scores below the threshold, a quarter of the work of searching the scores.

constexpr int64_t kBlockRows = 48;    // a multiple of kTileRows
constexpr int64_t kBatchRows = 1536;  // go through one filter before some of them go through the next
constexpr int64_t kChunkCodewords = 1024;
constexpr int64_t kPanelCacheBytes = 24 << 10;   // panels that a block of rows meets before the next ones: half an L1
constexpr int64_t kChunkCacheBytes = 512 << 10;  // panels of a chunk: half an L2

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

// Writes the scores of `kRows` rows against one panel and their minimum over the panel's vectors.
template <int64_t kRows, int64_t kVectors, class Filter>
CODEWORD_INLINE void score_tile(const Filter& filter, int64_t panel, int64_t row, typename Filter::Score* scores,
                                int64_t scores_stride, typename Filter::Score* groups, int64_t groups_stride) {
  using Vector = typename VectorOf<typename Filter::Score>::type;
  Vector sums[kRows][kVectors];
  filter.template sum<kRows, kVectors>(panel, row, sums);
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kRows; ++r) {
    Vector least = sums[r][0];
    store(scores + r * scores_stride, least);
    CODEWORD_UNROLL
    for (int64_t v = 1; v < kVectors; ++v) {
      store(scores + r * scores_stride + v * kLanes, sums[r][v]);
      least = min(least, sums[r][v]);
    }
    store(groups + r * groups_stride, least);
  }
}
