// Memory of one call: a block of rows in a filter's form, its scores (see scores.h) and candidates, what was found
// for the rows of a batch, and the rows of it that wait for the next filter.

// An odd number of cache lines, so that the rows of a tile do not meet in one cache set.
inline int64_t assign_row_stride(int64_t d) { return 16 * ((d + 15) / 16 | 1); }

#if CODEWORD_VNNI
constexpr int64_t kNarrowRows = 64;
constexpr int64_t kMostNarrowPairs = 8;

// A block of rows as narrow_s16.h sees them, and what it finds.
struct NarrowRows {
  alignas(64) int32_t pairs[kMostNarrowPairs * kNarrowRows];      // [pair][row]
  alignas(64) int32_t rows[kMostNarrowPairs * kNarrowRows + 16];  // [row][pair]
  alignas(64) int32_t best[kNarrowRows], limit[kNarrowRows];      // the best group in the low bits; min A + 2E
  uint64_t left;                                                  // bit r: this filter does not decide row r
};
#endif

struct AssignScratch {
  float* rows;
  void *scores, *groups, *candidates;
  int32_t *found, *pending;
#if CODEWORD_VNNI
  NarrowRows* narrow;
#endif
#if CODEWORD_AMX
  int32_t* sums;
#endif
};

inline int64_t carve_scratch(const AssignCodebook& book, void* memory, AssignScratch& scratch) {
  const int64_t block = rows_of_block(book.d);
  const int64_t scores = min_of(kChunkCodewords, round_up(book.k, book.panel_vectors * kLanes));
  Carver carver = {static_cast<char*>(memory)};
  scratch.rows = carver.take<float>(block * assign_row_stride(book.d));
  scratch.scores = carver.take<float>(block * scores);
  scratch.groups = carver.take<float>(block * round_up(scores / book.panel_vectors, 64));
  scratch.candidates = carver.take<Candidates<float>>(kBlockRows);
  scratch.found = carver.take<int32_t>(kBatchRows);
  scratch.pending = carver.take<int32_t>(kBatchRows);
#if CODEWORD_VNNI
  scratch.narrow = carver.take<NarrowRows>(book.d <= 2 * kMostNarrowPairs);
#endif
#if CODEWORD_AMX
  scratch.sums = carver.take<int32_t>(block * book.panel_vectors * kLanes);
#endif
  return carver.used;
}

// Rows begin .. n - 1 go on to the next filter with the `left` that do already.
inline int64_t pass_on(int32_t* pending, int64_t left, int64_t begin, int64_t n, bool all) {
  for (int64_t j = begin; j < n; ++j) pending[left++] = all ? static_cast<int32_t>(j) : pending[j];
  return left;
}

// Fetches the rows of the next block into the L2 cache, a few lines at a time while this block is scored: loading a
// block of long rows at once would wait for memory.
struct NextRows {
  const float* const* x = nullptr;
  int64_t n = 0, lines = 0;  // rows, cache lines of a row
  int64_t row = 0, line = 0;

  CODEWORD_INLINE void fetch(int64_t count) {
    for (; count > 0 && row < n; --count) {
      prefetch(x[row] + 16 * line);
      if (++line == lines) {
        line = 0;
        ++row;
      }
    }
  }
};
