// Codes that name a codeword in each of m codebooks; their sum is the reconstruction (AdditiveCode in kernels.h).
//
// additive_encode searches stage by stage, rows side by side, so that one tile of products serves a block of rows. A
// row keeps `beam` paths; what all of them share is taken out of the row, so that the products of the next stage are
// with what is left of it, and a path needs cross terms with its own last stages only. With the codes of an earlier
// pass, stages to come count as they were: no pass makes a row worse.
constexpr int64_t kAdditiveRows = 24;          // a multiple of kTileRows; their tables stay in the first-level caches
constexpr float kFarthest = 1099511627776.0f;  // 2^40: what is farther out counts as that
constexpr int kLargestExponent = 60;
constexpr uint32_t kEveryLane = (1u << kLanes) - 1;

// The search of one row. Paths are rings: stage s of path l is paths[l * ring + s % ring].
struct AdditiveRow {
  int64_t first, paths_left;  // stages before `first` are decided
  float* y;                   // (d) the row less all that is decided
  float* scores;              // (beam)
  uint16_t *paths, *next;     // (beam, ring)
  uint32_t* indices;          // (m)
};

struct AdditiveScratch {
  AdditiveRow rows[kAdditiveRows];
  int32_t* words;  // (kAdditiveRows, pairs) rows as pairs of int16
  float* values;   // (kAdditiveRows, width)
  int exponents[kAdditiveRows];
};

inline int64_t additive_pairs(const AdditiveCode& code) { return (code.d + 1) / 2; }

inline int64_t carve_additive(const AdditiveCode& code, void* memory, AdditiveScratch& s) {
  Carver carver = {static_cast<char*>(memory)};
  s.words = carver.take<int32_t>(kAdditiveRows * additive_pairs(code));
  s.values = carver.take<float>(kAdditiveRows * code.width);
  for (AdditiveRow& row : s.rows) {
    row.y = carver.take<float>(round_up(code.d, kLanes));
    row.scores = carver.take<float>(code.beam);
    row.paths = carver.take<uint16_t>(code.beam * (code.depth + 1));
    row.next = carver.take<uint16_t>(code.beam * (code.depth + 1));
  }
  return carver.used;
}

// Rounds y to int16 in units of 2^-e, which makes its norm at most 2^15; returns e, at most kLargestExponent.
inline int round_row(const float* y, int64_t d, int16_t* words) {
  const double square = exact_dot(y, y, d);
  // 2^(E - 1) <= square < 2^E, so the norm is below 2^ceil(E / 2).
  const int half = square > 0 ? (exponent_of(square) + 1) >> 1 : -kLargestExponent;
  const int e = 15 - half < kLargestExponent ? 15 - half : kLargestExponent;
  const float up = power_of_two(e), magic = 12582912.0f;  // 1.5 * 2^23: the nearest integer is in the low bits
  for (int64_t i = 0; i < d; ++i) {
    words[i] = static_cast<int16_t>(__builtin_bit_cast(int32_t, y[i] * up + magic));
  }
  if (d % 2) words[d] = 0;
  return e;
}

// out[t, v] = sum over i of words[t, i] * panel[i, v], pairs of int16, for a tile of rows and kVectors vectors.
template <int64_t kRows, int64_t kVectors>
CODEWORD_INLINE void additive_tile(const int32_t* panel, int64_t step, const int32_t* words, int64_t pairs,
                                   float factor, const int* exponents, float* out, int64_t out_step) {
  I32 sums[kRows][kVectors];
  CODEWORD_UNROLL
  for (int64_t t = 0; t < kRows; ++t) {
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) sums[t][v] = splat(0);
  }
  for (int64_t i = 0; i < pairs; ++i, panel += step) {
    I32 c[kVectors];
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) c[v] = hide(load(panel + v * kLanes));
    CODEWORD_UNROLL
    for (int64_t t = 0; t < kRows; ++t) {
      const I32 x = splat(words[t * pairs + i]);
      CODEWORD_UNROLL
      for (int64_t v = 0; v < kVectors; ++v) sums[t][v] = dot_s16(sums[t][v], x, c[v]);
    }
  }
  for (int64_t t = 0; t < kRows; ++t) {
    const F32 unit = splat(factor * power_of_two(-exponents[t]));
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) store(out + t * out_step + v * kLanes, mul(to_float(sums[t][v]), unit));
  }
}

template <int64_t kVectors>
inline void additive_stage(const AdditiveCode& code, int64_t j, const AdditiveScratch& s, int64_t n, float* out) {
  const int64_t pairs = additive_pairs(code), block = min_of(code.width, 64);
  const int32_t* panels = code.panels + j * code.width * pairs;
  for (int64_t v = 0; v < code.width; v += kVectors * kLanes) {
    const int32_t* panel = panels + v / block * block * pairs + v % block;
    for (int64_t r = 0; r < n; r += kTileRows) {
      if (n - r >= kTileRows) {
        additive_tile<kTileRows, kVectors>(panel, block, s.words + r * pairs, pairs, code.steps[j], s.exponents + r,
                                           out + r * code.width + v, code.width);
        continue;
      }
      for (int64_t t = r; t < n; ++t) {
        additive_tile<1, kVectors>(panel, block, s.words + t * pairs, pairs, code.steps[j], s.exponents + t,
                                   out + t * code.width + v, code.width);
      }
    }
  }
}

// out (n, width) = 2 <y, c> for rows y that were rounded to s.words, n <= kAdditiveRows.
inline void additive_values(const AdditiveCode& code, int64_t j, const AdditiveScratch& s, int64_t n, float* out) {
  if (code.width >= kPanelVectors * kLanes) return additive_stage<kPanelVectors>(code, j, s, n, out);
  if (code.width == 2 * kLanes) return additive_stage<2>(code, j, s, n, out);
  additive_stage<1>(code, j, s, n, out);
}

int64_t additive_products(const AdditiveCode& code, int64_t j, const float* y, int64_t n, float* out, void* memory) {
  AdditiveScratch s;
  const int64_t bytes = carve_additive(code, memory, s);
  if (!memory) return bytes;
  for (int64_t begin = 0; begin < n; begin += kAdditiveRows) {
    const int64_t size = min_of(kAdditiveRows, n - begin);
    for (int64_t r = 0; r < size; ++r) {
      int16_t* words = reinterpret_cast<int16_t*>(s.words + r * additive_pairs(code));
      s.exponents[r] = round_row(y + (begin + r) * code.d, code.d, words);
    }
    additive_values(code, j, s, size, out + begin * code.width);
  }
  return bytes;
}

// The best continuations so far, best first; of equals, those found first.
struct BestPaths {
  int64_t most, n = 0;
  float limit = __builtin_huge_valf();  // what a score must be below to be kept
  float scores[kMostPaths];
  uint16_t parents[kMostPaths], numbers[kMostPaths];

  CODEWORD_INLINE void offer(float score, int64_t parent, int64_t number) {
    if (!(score < limit)) return;
    if (n < most) ++n;
    int64_t at = n - 1;
    for (; at > 0 && scores[at - 1] > score; --at) {
      scores[at] = scores[at - 1];
      parents[at] = parents[at - 1];
      numbers[at] = numbers[at - 1];
    }
    scores[at] = score;
    parents[at] = static_cast<uint16_t>(parent);
    numbers[at] = static_cast<uint16_t>(number);
    if (n == most) limit = scores[n - 1];
  }
};

// 2 <c, codewords of stage j> for codeword c = number `index` of stage s, j - depth <= s < j.
inline const float* cross_row(const AdditiveCode& code, int64_t j, int64_t s, int64_t index) {
  const int64_t whole = min_of(j, code.depth + 1);  // stages 0 .. whole - 1 have all stages before them
  const int64_t pair = whole * (whole - 1) / 2 + (j - whole) * code.depth + (j - 1 - s);
  return code.cross + (pair * code.k + index) * code.width;
}

// y += sign * codeword, sign 1 or -1.
inline void add_codeword(const AdditiveCode& code, int64_t j, uint32_t index, float sign, float* y) {
  const float* c = code.codewords + (j * code.k + index) * code.d;
  int64_t i = 0;
  for (; i + kLanes <= code.d; i += kLanes) store(y + i, add(load(y + i), mul(splat(sign), load(c + i))));
  for (; i < code.d; ++i) y[i] += sign * c[i];
}

// Takes the earlier choice of stage j out of the decided part of a row.
inline void reopen_stage(const AdditiveCode& code, int64_t j, AdditiveRow& row) {
  const uint32_t old = row.indices[j];
  add_codeword(code, j, old, 1.0f, row.y);
  const int64_t ring = code.depth + 1;
  for (int64_t l = 0; l < row.paths_left; ++l) {
    for (int64_t s = row.first; s < j; ++s) {
      row.scores[l] -= cross_row(code, j, s, row.paths[l * ring + s % ring])[old];
    }
  }
}

// Scores of path l with every codeword of stage j, kUnroll vectors at a time.
template <int64_t kUnroll>
inline void extend_path(const AdditiveCode& code, int64_t j, const AdditiveRow& row, const float* values, int64_t l,
                        BestPaths& best) {
  const int64_t ring = code.depth + 1, count = j - row.first;
  const float* cross[kMostDepth];
  for (int64_t s = row.first; s < j; ++s) {
    cross[s - row.first] = cross_row(code, j, s, row.paths[l * ring + s % ring]);
  }
  for (int64_t v = 0; v < code.width; v += kUnroll * kLanes) {
    F32 sums[kUnroll];
    CODEWORD_UNROLL
    for (int64_t u = 0; u < kUnroll; ++u) sums[u] = add(load(values + v + u * kLanes), splat(row.scores[l]));
    for (int64_t s = 0; s < count; ++s) {
      CODEWORD_UNROLL
      for (int64_t u = 0; u < kUnroll; ++u) sums[u] = add(sums[u], load(cross[s] + v + u * kLanes));
    }
    CODEWORD_UNROLL
    for (int64_t u = 0; u < kUnroll; ++u) {
      uint32_t below = ~le_bits(splat(best.limit), sums[u]) & kEveryLane;
      if (!below) continue;
      float scores[kLanes];
      store(scores, sums[u]);
      for (; below; below &= below - 1) {
        const int lane = lowest_bit(below);
        best.offer(scores[lane], l, v + u * kLanes + lane);
      }
    }
  }
}

// Decides the stages that all paths agree on, and those more than `depth` back: there, paths that differ from the best
// one end. After the last stage only the best path is left.
inline void decide_stages(const AdditiveCode& code, int64_t j, AdditiveRow& row) {
  const int64_t ring = code.depth + 1;
  if (j == code.m - 1) row.paths_left = 1;
  for (; row.first <= j; ++row.first) {
    const int64_t slot = row.first % ring;
    const uint16_t index = row.paths[slot];
    int64_t same = 0;
    for (int64_t l = 0; l < row.paths_left; ++l) same += row.paths[l * ring + slot] == index;
    if (same < row.paths_left) {
      if (j + 1 - row.first <= code.depth) return;
      int64_t left = 0;
      for (int64_t l = 0; l < row.paths_left; ++l) {
        if (row.paths[l * ring + slot] != index) continue;
        row.scores[left] = row.scores[l];
        for (int64_t i = 0; i < ring; ++i) row.paths[left * ring + i] = row.paths[l * ring + i];
        ++left;
      }
      row.paths_left = left;
    }
    row.indices[row.first] = index;
    add_codeword(code, row.first, index, -1.0f, row.y);
  }
}

inline void search_stage(const AdditiveCode& code, int64_t j, float* values, AdditiveRow& row) {
  const float* squares = code.squares + j * code.width;
  for (int64_t v = 0; v < code.width; v += kLanes) store(values + v, sub(load(squares + v), load(values + v)));
  BestPaths best;
  best.most = code.beam;
  for (int64_t l = 0; l < row.paths_left; ++l) {
    if (code.width >= 4 * kLanes) {
      extend_path<4>(code, j, row, values, l, best);
    } else {
      extend_path<1>(code, j, row, values, l, best);
    }
  }
  const int64_t ring = code.depth + 1;
  for (int64_t l = 0; l < best.n; ++l) {
    const uint16_t* parent = row.paths + best.parents[l] * ring;
    for (int64_t i = 0; i < ring; ++i) row.next[l * ring + i] = parent[i];
    row.next[l * ring + j % ring] = best.numbers[l];
    row.scores[l] = best.scores[l] - best.scores[0];
  }
  uint16_t* paths = row.paths;
  row.paths = row.next;
  row.next = paths;
  row.paths_left = best.n;
  decide_stages(code, j, row);
}

// The row in scaled units, less its codewords where it comes with a code.
inline void start_row(const AdditiveCode& code, const float* x, AdditiveRow& row) {
  for (int64_t i = 0; i < code.d; ++i) {
    row.y[i] = max_of(min_of(x[i] * code.scale - code.offset[i], kFarthest), -kFarthest);
  }
  if (!code.resume) return;
  for (int64_t j = 0; j < code.m; ++j) add_codeword(code, j, row.indices[j], -1.0f, row.y);
}

int64_t additive_encode(const AdditiveCode& code, const float* x, int64_t n, uint32_t* indices, void* memory) {
  AdditiveScratch s;
  const int64_t bytes = carve_additive(code, memory, s);
  if (!memory) return bytes;
  for (int64_t begin = 0; begin < n; begin += kAdditiveRows) {
    const int64_t size = min_of(kAdditiveRows, n - begin);
    for (int64_t r = 0; r < size; ++r) {
      s.rows[r].indices = indices + (begin + r) * code.m;
      start_row(code, x + (begin + r) * code.d, s.rows[r]);
    }
    for (int64_t pass = 0; pass < code.passes; ++pass) {
      for (int64_t r = 0; r < size; ++r) {
        s.rows[r].first = 0;
        s.rows[r].paths_left = 1;
        s.rows[r].scores[0] = 0;
      }
      for (int64_t j = 0; j < code.m; ++j) {
        for (int64_t r = 0; r < size; ++r) {
          if (pass || code.resume) reopen_stage(code, j, s.rows[r]);
          s.exponents[r] =
              round_row(s.rows[r].y, code.d, reinterpret_cast<int16_t*>(s.words + r * additive_pairs(code)));
        }
        additive_values(code, j, s, size, s.values);
        for (int64_t r = 0; r < size; ++r) search_stage(code, j, s.values + r * code.width, s.rows[r]);
      }
    }
  }
  return bytes;
}

void additive_decode(const AdditiveCode& code, const uint32_t* indices, int64_t n, float* x) {
  const float back = 1.0f / code.scale;
  for (int64_t r = 0; r < n; ++r, indices += code.m, x += code.d) {
    const float* first = code.codewords + indices[0] * code.d;
    for (int64_t i = 0; i < code.d; ++i) x[i] = first[i];
    for (int64_t j = 1; j < code.m; ++j) add_codeword(code, j, indices[j], 1.0f, x);
    for (int64_t i = 0; i < code.d; ++i) x[i] = x[i] * back + code.offset[i] * back;
  }
}
