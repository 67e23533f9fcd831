// One block of rows through one filter: scores of a chunk of the codebook at a time, then the candidates in it.

template <int64_t kVectors, class Filter>
struct Block {
  using Score = typename Filter::Score;
  static constexpr int64_t kWidth = kVectors * kLanes;

  const AssignCodebook& book;
  Filter filter;
  Score *scores, *groups;
  Candidates<Score>* candidates;
  int64_t panels, chunk;          // in the codebook, and in a chunk of it
  int64_t stride, groups_stride;  // of the rows of `scores` and `groups`

  Block(const AssignCodebook& a_book, const Filter& a_filter, const AssignScratch& scratch)
      : book(a_book),
        filter(a_filter),
        scores(static_cast<Score*>(scratch.scores)),
        groups(static_cast<Score*>(scratch.groups)),
        candidates(static_cast<Candidates<Score>*>(scratch.candidates)),
        panels((book.k + kWidth - 1) / kWidth),
        chunk(min_of(panels, min_of(filter.panels_in(kChunkCacheBytes), kChunkCodewords / kWidth))),
        stride(chunk * kWidth),
        groups_stride(round_up(chunk * kLanes, 64)) {}

  // Fills `candidates` for the rows x[0] .. x[n - 1].
  void run(const float* const* x, int64_t n) {
    for (int64_t r = 0; r < n; ++r) candidates[r].start(filter.load_row(x[r], r));
    for (int64_t begin = 0; begin < panels; begin += chunk) {
      const int64_t end = min_of(begin + chunk, panels);
      score(begin, end, n);
      for (int64_t r = 0; r < n; ++r) collect_row(r, begin, end - begin);
    }
    if (chunk < panels) {
      for (int64_t r = 0; r < n; ++r) candidates[r].prune();
    }
  }

 private:
  void score(int64_t first, int64_t last, int64_t n) {
    const int64_t step = filter.panels_in(kPanelCacheBytes);
    for (int64_t begin = first; begin < last; begin += step) {
      const int64_t end = min_of(begin + step, last);
      for (int64_t r = 0; r < n; r += kTileRows) {
        for (int64_t panel = begin; panel < end; ++panel) score_rows(panel, panel - first, r, n - r);
      }
    }
  }

  // The tile of rows r, r + 1, ..., of which n are left. The last rows of a block share a tile with rows that nobody
  // asks for, unless they are too few to be worth it.
  void score_rows(int64_t panel, int64_t at, int64_t r, int64_t n) {
    if (n > 2) return tile<kTileRows>(panel, at, r);
    for (int64_t i = 0; i < n; ++i) tile<1>(panel, at, r + i);
  }

  template <int64_t kRows>
  CODEWORD_INLINE void tile(int64_t panel, int64_t at, int64_t r) {
    score_tile<kRows, kVectors>(filter, panel, r, scores + r * stride + at * kWidth, stride,
                                groups + r * groups_stride + at * kLanes, groups_stride);
  }

  void collect_row(int64_t r, int64_t first, int64_t n_panels) {
    candidates[r].template collect<kVectors>(scores + r * stride, groups + r * groups_stride, n_panels, first * kWidth);
  }
};
