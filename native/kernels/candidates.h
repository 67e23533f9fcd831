// From scores to labels: for each row the codewords whose score is within the slack of the minimum, and the exact form
// to decide between them.

constexpr int32_t kMostCandidates = 32;  // a row with more goes on to the next filter, after the last to the exact form

// Bit l: values[l] <= threshold, for 64 values.
template <class Score>
CODEWORD_INLINE uint64_t le_word(const Score* values, typename VectorOf<Score>::type threshold) {
  uint64_t word = 0;
  CODEWORD_UNROLL
  for (int64_t lane = 0; lane < 64; lane += kLanes) {
    word |= static_cast<uint64_t>(le_bits(load(values + lane), threshold)) << lane;
  }
  return word;
}

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
  void collect(const Score* scores, Score* groups, int64_t panels, int64_t first) {
    const int64_t lanes = panels * kLanes;
    auto minima = load(groups);
    for (int64_t lane = kLanes; lane < lanes; lane += kLanes) minima = min(minima, load(groups + lane));
    const Score lowest = lane_min(minima);
    if (lowest < least) least = lowest;
    if (overflowed()) return;
    const auto threshold = splat(static_cast<Score>(least + slack));
    for (int64_t lane = lanes; lane % 64; lane += kLanes) store(groups + lane, splat(VectorOf<Score>::kMost));
    for (int64_t lane = 0; lane < lanes; lane += 64) {
      for (uint64_t word = le_word(groups + lane, threshold); word; word &= word - 1) {
        push<kVectors>(scores, lane + lowest_bit(word), first);
      }
    }
  }

 private:
  // Adds those of lane `lane`'s codewords, one from each vector of its panel, that are below the threshold: without
  // branches, as nothing predicts which they are.
  template <int64_t kVectors>
  CODEWORD_INLINE void push(const Score* scores, int64_t lane, int64_t first) {
    if (n > kMostCandidates - kVectors) {
      prune();
      if (n > kMostCandidates - kVectors) n = kMostCandidates + 1;
      if (overflowed()) return;
    }
    const Score threshold = least + slack;
    int64_t codeword = lane / kLanes * kVectors * kLanes + lane % kLanes;
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v, codeword += kLanes) {
      index[n] = static_cast<int32_t>(first + codeword);
      score[n] = scores[codeword];
      n += scores[codeword] <= threshold;
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
