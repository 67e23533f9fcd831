// From scores to labels: for each row the codewords whose score is within the slack of the minimum, and the exact form
// to decide between them.

constexpr int32_t kMostCandidates = 32;  // a row with more goes on to the next filter, after the last to the exact form

// What is known of one row while chunks of the codebook pass by.
template <class Score>
struct Candidates {
  Score least, slack;
  int32_t n;  // kMostCandidates + 1: too many
  int32_t index[kMostCandidates];
  Score score[kMostCandidates];

  // An infinite slack: the filter does not apply to this row.
  void start(Score new_slack) {
    least = VectorOf<Score>::kMost;
    slack = new_slack;
    n = new_slack == VectorOf<Score>::kMost ? kMostCandidates + 1 : 0;
  }

  bool overflowed() const { return n > kMostCandidates; }

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
    const Score threshold = least + slack;
    for (int64_t panel = 0; panel < panels; panel += Layout::kPanelsAWord) {
      uint64_t word = 0;
      CODEWORD_UNROLL
      for (int64_t p = 0; p < Layout::kPanelsAWord; ++p) {
        const uint64_t bits = le_bits(load(groups + (panel + p) * Layout::kGroupStep), splat(threshold));
        word |= bits << (p * kLanes);
      }
      for (; word; word &= word - 1) {
        const int64_t hit = panel + lowest_bit(word) / kLanes, lane = lowest_bit(word) % kLanes;
        push<kVectors>(scores + hit * Layout::kScoreStep + lane, first + hit * Layout::kWidth + lane, threshold);
      }
    }
  }

 private:
  // Adds those of a lane's codewords that are below the threshold: almost always one, but nothing predicts which, so
  // there are no branches on it.
  template <int64_t kVectors>
  CODEWORD_INLINE void push(const Score* scores, int64_t codeword, Score threshold) {
    uint64_t hits = 0;
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) hits |= static_cast<uint64_t>(scores[v * kLanes] <= threshold) << v;
    for (; hits; hits &= hits - 1) {
      if (n >= kMostCandidates) prune();
      if (n >= kMostCandidates) {
        n = kMostCandidates + 1;
        return;
      }
      const int64_t v = lowest_bit(hits);
      index[n] = static_cast<int32_t>(codeword + v * kLanes);
      score[n] = scores[v * kLanes];
      ++n;
    }
  }
};

// The one of n codewords, listed in `index` (all of them when null), with the lowest exact score, ties to the lowest
// index.
inline int32_t nearest_of(const AssignCodebook& book, const float* x, const int32_t* index, int64_t n) {
  if (index && n == 1) return index[0];
  int32_t best = 0x7fffffff;
  double least = 0;
  for (int64_t j = 0; j < n; ++j) {
    const int32_t c = index ? index[j] : static_cast<int32_t>(j);
    const double score = book.norms[c] - 2 * exact_dot(x, book.codewords + c * book.d, book.d);
    if (j == 0 || score < least || (score == least && c < best)) {
      best = c;
      least = score;
    }
  }
  return best;
}
