// The int16 filter for rows of at most kLanes coordinates, which would spend most of their time outside multiplications
// (block.h): here the lanes are kNarrowRows / kLanes vectors of rows, codewords are spread over all lanes, and no score
// is written. Codewords are taken in groups of kLanes. Of a row only the least and the second least group minimum are
// kept, with the number of the group in their lowest bits; where the second is out of reach, the scores of the one
// group are computed once more, now with codewords in the lanes. Scores and slack are filter_s16.h's.

#if CODEWORD_VNNI
constexpr int64_t kMostNarrowCodewords = 4096;  // so that the number of a group takes few bits from its minimum

inline bool is_narrow(int64_t d, int64_t k) {
  return FilterS16::pairs(d) <= kMostNarrowPairs && k > kLanes && k <= kMostNarrowCodewords;
}

template <int64_t kPairs>
struct NarrowBlock {
  static constexpr int64_t kVectors = kPairs <= 4 ? 4 : 2;  // of rows, in registers

  const AssignCodebook& book;
  NarrowRows& rows;
  int64_t groups;
  int32_t mask;  // of the bits that hold a group's number

  NarrowBlock(const AssignCodebook& a_book, NarrowRows& a_rows)
      : book(a_book), rows(a_rows), groups((book.k + kLanes - 1) / kLanes), mask(1) {
    while (mask < groups) mask *= 2;
    mask -= 1;
  }

  // Rows x[0], x[stride], ... of n, rounded to the grid.
  void load_rows(const float* x, int64_t x_stride, int64_t n) {
    rows.left = 0;
    for (int64_t r = 0; r < n; ++r) {
      const F32 value = book.d < kLanes ? load_first(x, book.d) : load(x);
      const F32 scaled = muladd(value, splat(book.s16.scale), load(book.s16.centre));
      store_words(reinterpret_cast<int16_t*>(rows.rows + r * kPairs), to_int(scaled));
      const uint32_t inside = le_bits(abs(scaled), splat(kLargestWord));
      rows.left |= static_cast<uint64_t>(inside != kAllLanes) << r;
      CODEWORD_UNROLL
      for (int64_t p = 0; p < kPairs; ++p) rows.pairs[p * kNarrowRows + r] = rows.rows[r * kPairs + p];
      x += x_stride;
    }
  }

  // Minima of all groups for kVectors vectors of rows from row `first`; which rows are left, and the limits of the
  // others.
  void score(int64_t first) {
    I32 x[kPairs][kVectors], best[kVectors], second[kVectors];
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      CODEWORD_UNROLL
      for (int64_t p = 0; p < kPairs; ++p) x[p][v] = load(rows.pairs + p * kNarrowRows + first + v * kLanes);
      best[v] = second[v] = splat(VectorOf<int32_t>::kMost);
    }
    const int32_t *pair = book.s16.pairs, *offset = book.s16.offsets;
    for (int64_t g = 0; g < groups; ++g) {
      I32 least[kVectors];
      CODEWORD_UNROLL
      for (int64_t v = 0; v < kVectors; ++v) least[v] = splat(VectorOf<int32_t>::kMost);
      for (int64_t c = 0; c < kLanes; ++c) {
        I32 sums[kVectors];
        CODEWORD_UNROLL
        for (int64_t v = 0; v < kVectors; ++v) sums[v] = splat(*offset);
        CODEWORD_UNROLL
        for (int64_t p = 0; p < kPairs; ++p) {
          const I32 codeword = splat(pair[p]);
          CODEWORD_UNROLL
          for (int64_t v = 0; v < kVectors; ++v) sums[v] = dot_s16(sums[v], x[p][v], codeword);
        }
        CODEWORD_UNROLL
        for (int64_t v = 0; v < kVectors; ++v) least[v] = min(least[v], sums[v]);
        ++offset;
        pair += kPairs;
      }
      CODEWORD_UNROLL
      for (int64_t v = 0; v < kVectors; ++v) {
        const I32 named = with_low_bits(least[v], splat(mask), splat(static_cast<int32_t>(g)));
        second[v] = min(second[v], max(best[v], named));
        best[v] = min(best[v], named);
      }
    }
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) finish(first + v * kLanes, x, v, best[v], second[v]);
  }

  // The least score is at most `best` with all low bits set, any in the second group at least `second` without.
  CODEWORD_INLINE void finish(int64_t first, const I32 (&x)[kPairs][kVectors], int64_t v, I32 best, I32 second) {
    F32 square = splat(0.0f);
    CODEWORD_UNROLL
    for (int64_t p = 0; p < kPairs; ++p) square = add(square, to_float(dot_s16(splat(0), x[p][v], x[p][v])));
    const I32 slack = to_int(muladd(sqrt(square), splat(book.s16.per_norm), splat(book.s16.base)));
    const I32 limit = add(with_low_bits(best, splat(mask), splat(-1)), slack);
    rows.left |= static_cast<uint64_t>(le_bits(with_low_bits(second, splat(mask), splat(0)), limit)) << first;
    store(rows.best + first, best);
    store(rows.limit + first, limit);
  }

  // The label of row `begin` + r of `all`, row r of the block, that is not left.
  CODEWORD_INLINE int32_t decide(const AssignRows& all, int64_t begin, int64_t r) const {
    const int64_t width = book.panel_vectors * kLanes, first = (rows.best[r] & mask) * kLanes;
    const int32_t* panel = book.s16.panels + first / width * width * kPairs + first % width;
    I32 sum = load(book.s16.offsets + first);
    CODEWORD_UNROLL
    for (int64_t p = 0; p < kPairs; ++p) sum = dot_s16(sum, splat(rows.rows[r * kPairs + p]), load(panel + p * width));
    uint32_t near = le_bits(sum, splat(rows.limit[r]));
    if ((near & (near - 1)) == 0) return static_cast<int32_t>(first + lowest_bit(near));
    int32_t index[kLanes];
    int64_t n = 0;
    for (; near; near &= near - 1) index[n++] = static_cast<int32_t>(first + lowest_bit(near));
    return nearest_of(book, all, begin + r, index, n);
  }
};

template <int64_t kPairs>
inline int64_t narrow_rows(const AssignCodebook& book, const AssignScratch& scratch, const AssignRows& rows,
                           int64_t n) {
  NarrowBlock<kPairs> block(book, *scratch.narrow);
  int64_t left = 0;
  for (int64_t begin = 0; begin < n; begin += kNarrowRows) {
    if (begin == 2 * kNarrowRows && 2 * left > begin) return pass_on(scratch.pending, left, begin, n, true);
    const int64_t size = min_of(n - begin, kNarrowRows);
    block.load_rows(rows.x + begin * rows.x_stride, rows.x_stride, size);
    for (int64_t r = 0; r < size; r += kLanes * NarrowBlock<kPairs>::kVectors) block.score(r);
    for (int64_t r = 0; r < size; ++r) {
      if (block.rows.left >> r & 1) {
        scratch.pending[left++] = static_cast<int32_t>(begin + r);
      } else {
        scratch.found[begin + r] = block.decide(rows, begin, r);
      }
    }
  }
  return left;
}

// Labels rows 0 .. n - 1; leaves in scratch.pending those that it did not label, and returns how many.
inline int64_t filter_narrow_rows(const AssignCodebook& book, const AssignScratch& scratch, const AssignRows& rows,
                                  int64_t n) {
  switch (FilterS16::pairs(book.d)) {
#define CODEWORD_PAIRS(pairs) \
  case pairs:                 \
    return narrow_rows<pairs>(book, scratch, rows, n);
    CODEWORD_PAIRS(1)
    CODEWORD_PAIRS(2)
    CODEWORD_PAIRS(3)
    CODEWORD_PAIRS(4)
    CODEWORD_PAIRS(5)
    CODEWORD_PAIRS(6)
    CODEWORD_PAIRS(7)
    default:
      return narrow_rows<8>(book, scratch, rows, n);
#undef CODEWORD_PAIRS
  }
}
#endif
