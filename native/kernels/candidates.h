// From scores to labels: for each row the codewords whose score is within the slack of the minimum, and the exact form
// to decide between them.

constexpr int32_t kMostCandidates = 256;
constexpr int32_t kMostCompared = 32;  // exactly; a filter that leaves more has them screened first

// A row with more candidates than this goes on to the next filter: comparing one exactly takes about as long as the
// next filter takes for 32 codewords.
inline int32_t most_candidates_before_next_filter(int64_t k) {
  return static_cast<int32_t>(min_of(max_of(k / 32, int64_t(4)), int64_t(kMostCompared)));
}

// Bit l of the p-th kLanes bits: vector p's value l is at most the threshold; vectors are kStep apart.
template <int64_t kStep, class Score, class Vector>
CODEWORD_INLINE uint64_t le_word(const Score* values, Vector threshold) {
  uint64_t word = 0;
  CODEWORD_UNROLL
  for (int64_t p = 0; p < 64 / kLanes; ++p) {
    word |= static_cast<uint64_t>(le_bits(load(values + p * kStep), threshold)) << (p * kLanes);
  }
  return word;
}

// What is known of one row while chunks of the codebook pass by.
template <class Score>
struct Candidates {
  Score least, slack;
  int32_t n, most;  // n = most + 1: too many
  int32_t index[kMostCandidates];
  Score score[kMostCandidates];

  // An infinite slack: the filter does not apply to this row.
  void start(Score new_slack, int32_t new_most) {
    least = VectorOf<Score>::kMost;
    slack = new_slack;
    most = new_most;
    n = new_slack == VectorOf<Score>::kMost ? most + 1 : 0;
  }

  bool overflowed() const { return n > most; }

  // Forgets the codewords that a lower minimum has ruled out since.
  void prune() {
    if (overflowed()) return;
    int32_t kept = 0;
    for (int32_t j = 0; j < n; ++j) {
      index[kept] = index[j];
      score[kept] = score[j];
      kept += score[j] <= least + slack;
    }
    n = kept;
  }

  // Adds the candidates of a chunk of `panels` panels that starts at codeword `first`.
  template <int64_t kVectors>
  void collect(const Score* scores, const Score* groups, int64_t panels, int64_t first) {
    using Layout = ScoreLayout<kVectors>;
    auto minima = load(groups);
    for (int64_t panel = 1; panel < panels; ++panel) minima = min(minima, load(groups + panel * Layout::kGroupStep));
    const Score lowest = lane_min(minima);
    if (lowest < least) least = lowest;
    if (overflowed()) return;
    const auto threshold = splat(static_cast<Score>(least + slack));
    // Nearly always one lane of one word holds a candidate, but nothing predicts which: so no branch on that.
    int64_t hits = 0, hit = 0;
    for (int64_t panel = 0; panel < panels; panel += Layout::kPanelsAWord) {
      const uint64_t word = le_word<Layout::kGroupStep>(groups + panel * Layout::kGroupStep, threshold);
      hits += count_bits(word);
      hit = word ? panel * kLanes + lowest_bit(word) : hit;
    }
    if (hits == 1) {
      push<kVectors>(scores, hit, first);
    } else if (hits > 1) {
      for (int64_t panel = 0; panel < panels; panel += Layout::kPanelsAWord) {
        uint64_t word = le_word<Layout::kGroupStep>(groups + panel * Layout::kGroupStep, threshold);
        for (; word; word &= word - 1) push<kVectors>(scores, panel * kLanes + lowest_bit(word), first);
      }
    }
  }

 private:
  // Adds those codewords of a lane of the groups that are below the threshold: again nearly always one.
  template <int64_t kVectors>
  CODEWORD_INLINE void push(const Score* scores, int64_t lane, int64_t first) {
    using Layout = ScoreLayout<kVectors>;
    const Score threshold = least + slack;
    const int64_t panel = lane / kLanes, codeword = first + panel * Layout::kWidth + lane % kLanes;
    scores += panel * Layout::kScoreStep + lane % kLanes;
    uint64_t hits = 0;
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) hits |= static_cast<uint64_t>(scores[v * kLanes] <= threshold) << v;
    for (; hits; hits &= hits - 1) {
      if (n >= most) prune();
      if (n >= most) {
        n = most + 1;
        return;
      }
      const int64_t v = lowest_bit(hits);
      index[n] = static_cast<int32_t>(codeword + v * kLanes);
      score[n] = scores[v * kLanes];
      ++n;
    }
  }
};

// What decides: the float64 codewords where there are any, else the float32 ones.
CODEWORD_INLINE const float* deciding(const AssignCodebook& book, const float*) { return book.codewords; }
CODEWORD_INLINE const double* deciding(const AssignCodebook& book, const double*) { return book.wide; }

template <class T>
CODEWORD_INLINE double exact_score(const AssignCodebook& book, const T* x, int64_t c) {
  return book.norms[c] - 2 * exact_dot(x, deciding(book, x) + c * book.d, book.d);
}

// The codeword of lowest exact score so far, of equals the one of lowest index.
struct Nearest {
  int32_t index;
  double score;

  // Compares kCount codewords at a time: their sums do not wait for each other.
  template <int64_t kCount, class T>
  CODEWORD_INLINE void take(const AssignCodebook& book, const T* x, const int32_t* indices) {
    const T* codewords[kCount];
    double dots[kCount];
    for (int64_t j = 0; j < kCount; ++j) codewords[j] = deciding(book, x) + indices[j] * book.d;
    exact_dots<kCount, T>(x, codewords, book.d, dots);
    for (int64_t j = 0; j < kCount; ++j) {
      const double other = book.norms[indices[j]] - 2 * dots[j];
      if (other < score || (other == score && indices[j] < index)) *this = {indices[j], other};
    }
  }
};

// The nearest of n codewords, listed in `index`.
template <class T>
inline int32_t nearest_of_several(const AssignCodebook& book, const T* x, const int32_t* index, int64_t n) {
  Nearest nearest = {0x7fffffff, __builtin_huge_val()};
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) nearest.take<4>(book, x, index + j);
  for (; j + 2 <= n; j += 2) nearest.take<2>(book, x, index + j);
  if (j < n) nearest.take<1>(book, x, index + j);
  return nearest.index;
}

// The float32 filter's scores (its terms in another order, which its bound allows) of kCount codewords, and the square
// of the row's norm.
template <int64_t kCount>
CODEWORD_INLINE float screen_scores(const AssignCodebook& book, const float* x, const int32_t* indices, float* scores) {
  F32 sums[kCount], squares = splat(0.0f);
  CODEWORD_UNROLL
  for (int64_t j = 0; j < kCount; ++j) sums[j] = splat(0.0f);
  for (int64_t i = 0; i < book.d; i += kLanes) {
    const F32 row = centred(book, x, i);
    squares = muladd(row, row, squares);
    CODEWORD_UNROLL
    for (int64_t j = 0; j < kCount; ++j) {
      sums[j] = muladd(row, centred(book, book.codewords + indices[j] * book.d, i), sums[j]);
    }
  }
  for (int64_t j = 0; j < kCount; ++j) {
    scores[j] = static_cast<const float*>(book.f32.offsets)[indices[j]] - 2 * lane_sum(sums[j]);
  }
  return lane_sum(squares);
}

// Keeps those of n candidates that the float32 filter would leave; returns how many. A comparison in float64 takes
// twice as long as a score here.
inline int32_t screen(const AssignCodebook& book, const float* x, int32_t* index, int32_t n) {
  float scores[kMostCandidates], square = 0;
  int32_t j = 0;
  for (; j + 4 <= n; j += 4) square = screen_scores<4>(book, x, index + j, scores + j);
  for (; j < n; ++j) square = screen_scores<1>(book, x, index + j, scores + j);
  float least = scores[0];
  for (j = 1; j < n; ++j) least = min_of(least, scores[j]);
  const float limit = least + static_cast<float>(book.f32.base + book.f32.per_norm * sqrt_of(square));
  int32_t kept = 0;
  for (j = 0; j < n; ++j) {
    index[kept] = index[j];
    kept += scores[j] <= limit;
  }
  return kept;
}

// The same for row i of `rows`.
CODEWORD_INLINE int32_t nearest_of(const AssignCodebook& book, const AssignRows& rows, int64_t i, const int32_t* index,
                                   int64_t n) {
  if (n == 1) return index[0];
  return rows.wide ? nearest_of_several(book, rows.wide + i * rows.wide_stride, index, n)
                   : nearest_of_several(book, rows.x + i * rows.x_stride, index, n);
}

template <class T>
inline int32_t nearest_of_all(const AssignCodebook& book, const T* x) {
  Nearest nearest = {0x7fffffff, __builtin_huge_val()};
  int32_t c = 0;
  for (; c + 4 <= book.k; c += 4) {
    const int32_t four[4] = {c, c + 1, c + 2, c + 3};
    nearest.take<4>(book, x, four);
  }
  for (; c < book.k; ++c) nearest.take<1>(book, x, &c);
  return nearest.index;
}

CODEWORD_INLINE int32_t nearest_of_all(const AssignCodebook& book, const AssignRows& rows, int64_t i) {
  return rows.wide ? nearest_of_all(book, rows.wide + i * rows.wide_stride)
                   : nearest_of_all(book, rows.x + i * rows.x_stride);
}
