// From scores to labels: for each row the codewords whose score is within the slack of the minimum, and the exact form
// to decide between them.

constexpr int32_t kMostCandidates = 32;

// A row with more candidates than this goes on to the next filter: comparing one exactly takes about as long as the
// next filter takes for 32 codewords.
inline int32_t most_candidates_before_next_filter(int64_t k) {
  return static_cast<int32_t>(min_of(max_of(k / 32, int64_t(4)), int64_t(kMostCandidates)));
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

CODEWORD_INLINE double exact_score(const AssignCodebook& book, const float* x, int64_t c) {
  return book.norms[c] - 2 * exact_dot(x, book.codewords + c * book.d, book.d);
}

// The one of n codewords, listed in `index`, with the lowest exact score, ties to the lowest index.
inline int32_t nearest_of(const AssignCodebook& book, const float* x, const int32_t* index, int64_t n) {
  int32_t best = index[0];
  if (n == 1) return best;
  double least = exact_score(book, x, best);
  for (int64_t j = 1; j < n; ++j) {
    const double score = exact_score(book, x, index[j]);
    if (score < least || (score == least && index[j] < best)) {
      best = index[j];
      least = score;
    }
  }
  return best;
}

// The same of all codewords.
inline int32_t nearest_of_all(const AssignCodebook& book, const float* x) {
  int64_t best = 0;
  double least = exact_score(book, x, 0);
  for (int64_t c = 0; c < book.k; c += 4) {
    const int64_t n = min_of(book.k - c, int64_t(4));
    const float* first = book.codewords + c * book.d;
    const float* codewords[4] = {first, n > 1 ? first + book.d : first, n > 2 ? first + 2 * book.d : first,
                                 n > 3 ? first + 3 * book.d : first};
    double dots[4];
    exact_dots(x, codewords, book.d, dots);
    for (int64_t j = 0; j < n; ++j) {
      const double score = book.norms[c + j] - 2 * dots[j];
      if (score < least) {
        best = c + j;
        least = score;
      }
    }
  }
  return static_cast<int32_t>(best);
}
