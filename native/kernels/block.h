// One block of rows through one filter: scores of a chunk of the codebook at a time, then the candidates in it.

// Whether a filter multiplies a block of rows with a panel before it scores tiles of them.
template <class Filter, class = void>
constexpr bool multiplies_whole_blocks = false;
template <class Filter>
constexpr bool multiplies_whole_blocks<Filter, decltype(void(Filter::kWholeBlocks))> = true;

template <int64_t kVectors, class Filter>
struct Block {
  using Score = typename Filter::Score;
  using Layout = ScoreLayout<kVectors>;

  const AssignCodebook& book;
  Filter filter;
  Score *scores, *groups;
  Candidates<Score>* candidates;
  int64_t panels, chunk, step;  // in the codebook, in a chunk of it, and in what of a chunk fits the L1 cache

  Block(const AssignCodebook& a_book, const Filter& a_filter, const AssignScratch& scratch)
      : book(a_book),
        filter(a_filter),
        scores(static_cast<Score*>(scratch.scores)),
        groups(static_cast<Score*>(scratch.groups)),
        candidates(static_cast<Candidates<Score>*>(scratch.candidates)),
        panels((book.k + Layout::kWidth - 1) / Layout::kWidth),
        chunk(min_of(panels, min_of(filter.panels_in(kChunkCacheBytes), kChunkCodewords / Layout::kWidth))),
        step(filter.panels_in(kPanelCacheBytes)) {
    fill_last_word(chunk);
  }

  // Fills `candidates` for the rows x[0] .. x[n - 1].
  void run(const float* const* x, int64_t n, NextRows next) {
    const int64_t tiles = panels * ((n + kTileRows - 1) / kTileRows),
                  fetches = (next.n * next.lines + tiles - 1) / tiles;
    const int32_t most = filter.most_candidates();
    for (int64_t r = 0; r < n; ++r) candidates[r].start(filter.load_row(x[r], r), most);
    for (int64_t begin = 0; begin < panels; begin += chunk) {
      const int64_t end = min_of(begin + chunk, panels);
      if (end - begin < chunk) fill_last_word(end - begin);
      if constexpr (multiplies_whole_blocks<Filter>) {
        for (int64_t panel = begin; panel < end; ++panel) {
          filter.template multiply<kVectors>(panel, n);
          for (int64_t r = 0; r < n; r += kTileRows) score(begin, panel, panel + 1, r, r, min_of(n - r, kTileRows));
          next.fetch(fetches * ((n + kTileRows - 1) / kTileRows));
        }
        collect(begin, end, 0, 0, n);
      } else if (chunk <= step) {
        for (int64_t r = 0; r < n; r += kTileRows) {
          score(begin, begin, end, r, 0, min_of(n - r, kTileRows));
          next.fetch(fetches * (end - begin));
          collect(begin, end, r, 0, min_of(n - r, kTileRows));
        }
      } else {
        for (int64_t panel = begin; panel < end; panel += step) {
          for (int64_t r = 0; r < n; r += kTileRows) {
            score(begin, panel, min_of(panel + step, end), r, r, min_of(n - r, kTileRows));
            next.fetch(fetches * step);
          }
        }
        collect(begin, end, 0, 0, n);
      }
    }
    if (chunk < panels) {
      for (int64_t r = 0; r < n; ++r) candidates[r].prune();
    }
  }

 private:
  // The groups that follow `n_panels` panels, up to a whole word, are no candidates.
  void fill_last_word(int64_t n_panels) {
    for (int64_t r = 0; r < rows_of_block(book.d); ++r) {
      for (int64_t panel = n_panels; panel % Layout::kPanelsAWord; ++panel) {
        store(groups + Layout::group(chunk, r, panel), splat(VectorOf<Score>::kMost));
      }
    }
  }

  // Scores of the tile of rows r, ..., r + n - 1 against panels begin .. end - 1 of the chunk that starts at panel
  // first, put where those of rows `slot`, ... belong. Missing rows of a tile are computed too, unless they are most of
  // it.
  void score(int64_t first, int64_t begin, int64_t end, int64_t r, int64_t slot, int64_t n) {
    for (int64_t panel = begin; panel < end; ++panel) {
      if (n > 2) {
        tile<kTileRows>(panel, panel - first, r, slot);
      } else {
        for (int64_t i = 0; i < n; ++i) tile<1>(panel, panel - first, r + i, slot + i);
      }
    }
  }

  template <int64_t kRows>
  CODEWORD_INLINE void tile(int64_t panel, int64_t at, int64_t r, int64_t slot) {
    score_tile<kRows, kVectors>(filter, panel, r, scores + Layout::score(chunk, slot, at),
                                groups + Layout::group(chunk, slot, at));
  }

  void collect(int64_t first, int64_t last, int64_t r, int64_t slot, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      candidates[r + i].template collect<kVectors>(scores + Layout::score(chunk, slot + i, 0),
                                                   groups + Layout::group(chunk, slot + i, 0), last - first,
                                                   first * Layout::kWidth);
    }
  }
};
