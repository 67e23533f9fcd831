// trellis_encode. The code of a row is a circular bit string, so its path through the trellis must end in the state
// that it starts in. The first pass searches the steps around the junction (the last `warm` and the first `warm`)
// freely and takes the state of its best path there; the second searches all steps from that state to that state.
//
// Where a code is hardly longer than its window, such a state says too much of the rest; with warm = 0, the second
// search starts from every state there is, and the best total (first of equals) wins.
//
// Metrics are bytes, lowered by their minimum every eighth step of a pass. Every array of states stays in memory; the
// way back does not store decisions but computes the 2^M sums of one state again.
constexpr int kLevels = 1024;

// Rows whose ways back are walked together: a step of one waits for three loads that follow from each other.
constexpr int64_t kTrellisRows = 8;
// Their arrays of states should stay in the L2 cache.
constexpr int64_t kTrellisBytes = int64_t(3) << 19;

// The memory of one row.
struct TrellisRow {
  const uint8_t** costs;    // (steps) the 256 costs of each step
  uint8_t* sums;            // those of steps that do not have one coordinate
  uint8_t* metrics;         // arrays of states, `stride` apart
  uint8_t* emitted;         // (steps) bits of each step
  int32_t* levels;          // (coordinates)
  uint32_t state, lowered;  // lowered: what was subtracted from its metrics
};

struct TrellisSearch {
  const TrellisCode* code;
  int64_t stride, rows;
  bool consecutive;          // coordinates are columns 0, 1, ...
  uint8_t *copies, *orders;  // what CostRow wants
  CostBlock* blocks;         // of all windows
  uint8_t folds[256];        // by older bits, newest lowest
  uint8_t reversed[64];      // numbers of six bits
  TrellisRow row[kTrellisRows];
};

CODEWORD_INLINE uint32_t reverse_bits(uint32_t value, int width) {
  uint32_t out = 0;
  for (int b = 0; b < width; ++b) out |= (value >> b & 1) << (width - 1 - b);
  return out;
}

CODEWORD_INLINE uint32_t trellis_index(const TrellisSearch& s, uint32_t w) { return (w & 255) ^ s.folds[w >> 8]; }

inline int64_t carve_trellis(const TrellisCode& code, void* memory, TrellisSearch& s) {
  int least = 6, most_bits = 1;
  int64_t summed = 0;
  for (int64_t t = 0; t < code.steps; ++t) {
    least = code.widths[t] < least ? code.widths[t] : least;
    most_bits = code.widths[t] > most_bits ? code.widths[t] : most_bits;
    summed += code.firsts[t + 1] - code.firsts[t] != 1;
  }
  const int64_t most = max_of(code.steps, int64_t(2) * code.warm);
  s.code = &code;
  // Fewer states than bytes in a vector are read and written with what follows them.
  const int64_t slack = int64_t(1) << (code.window - most_bits) < 64 ? 64 : 0;
  s.stride = round_up((int64_t(1) << (code.window - least)) + slack, 64);
  s.rows = max_of(min_of(kTrellisRows, kTrellisBytes / ((most + 1) * s.stride)), int64_t(1));
  Carver carver = {static_cast<char*>(memory)};
  s.copies = carver.take<uint8_t>(kTrellisRows * kCostCopies * 256);
  s.orders = carver.take<uint8_t>(kCostOrders * kByteLanes);
  s.blocks = carver.take<CostBlock>((int64_t(1) << code.window) / kByteLanes);
  for (int64_t r = 0; r < s.rows; ++r) {
    s.row[r].metrics = carver.take<uint8_t>((most + 1) * s.stride);
    s.row[r].costs = carver.take<const uint8_t*>(code.steps);
    s.row[r].sums = carver.take<uint8_t>(summed * 256);
    s.row[r].emitted = carver.take<uint8_t>(most);
    s.row[r].levels = carver.take<int32_t>(code.coordinates);
  }
  return carver.used;
}

inline void fill_tables(TrellisSearch& s) {
  const int older = s.code->window - 8;
  s.consecutive = true;
  for (int64_t j = 0; j < s.code->coordinates; ++j) s.consecutive &= s.code->columns[j] == j;
  for (uint32_t o = 0; o < 256; ++o) {
    s.folds[o] = o >> older ? 0 : static_cast<uint8_t>(reverse_bits(s.code->folds[reverse_bits(o, 8)], 8));
  }
  for (uint32_t v = 0; v < 64; ++v) s.reversed[v] = static_cast<uint8_t>(reverse_bits(v, 6));
  fill_cost_orders(s.orders);
  for (uint32_t w = 0; w < 1u << s.code->window; w += kByteLanes) {
    s.blocks[w / kByteLanes] = cost_block(trellis_index(s, w));
  }
}

// Levels: rounded to the nearest integer, ties to even, by adding 1.5 * 2^23. A NaN (infinity times 0) becomes the
// least.
CODEWORD_INLINE int32_t trellis_level(float x, float mean, float inverse) {
  const float y = min_of(max_of(-512.0f, (x - mean) * inverse), 511.0f) + 12582912.0f;
  int32_t bits;
  __builtin_memcpy(&bits, &y, sizeof bits);
  return bits - 0x4b400000 + 512;
}

inline void find_levels(const TrellisCode& code, bool consecutive, const float* CODEWORD_RESTRICT x,
                        int32_t* CODEWORD_RESTRICT levels) {
  const float* CODEWORD_RESTRICT means = code.means;
  const float* CODEWORD_RESTRICT inverses = code.inverses;
  if (consecutive) {
    for (int64_t j = 0; j < code.coordinates; ++j) levels[j] = trellis_level(x[j], means[j], inverses[j]);
  } else {
    for (int64_t j = 0; j < code.coordinates; ++j) levels[j] = trellis_level(x[code.columns[j]], means[j], inverses[j]);
  }
}

inline void find_costs(const TrellisSearch& s, TrellisRow& row, const float* x) {
  const TrellisCode& code = *s.code;
  find_levels(code, s.consecutive, x, row.levels);
  uint8_t* sum = row.sums;
  for (int64_t t = 0; t < code.steps; ++t) {
    const int64_t begin = code.firsts[t], end = code.firsts[t + 1];
    for (int64_t j = begin; j < end; ++j) {
      const uint8_t* costs = code.costs + (int64_t(code.grids[j]) * kLevels + row.levels[j]) * 256;
      if (end - begin == 1) {
        row.costs[t] = costs;
      } else if (j == begin) {
        __builtin_memcpy(sum, costs, 256);
      } else {
        for (int64_t i = 0; i < 256; i += kByteLanes) {
          store_bytes(sum + i, add_saturated(load_bytes(sum + i), load_bytes(costs + i)));
        }
      }
    }
    if (begin == end) __builtin_memset(sum, 0, 256);
    if (end - begin != 1) {
      row.costs[t] = sum;
      sum += 256;
    }
  }
}

// Runs `count` steps from step `first` on; the states before them are the first array of each row.metrics. Row by row
// in every step: where states are few, a step waits for the one before it.
inline void search_forward(TrellisSearch& s, int64_t rows, int64_t first, int64_t count) {
  const TrellisCode& code = *s.code;
  int64_t step = first;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t following = step + 1 == code.steps ? 0 : step + 1;
    const int e = code.widths[step], m = code.widths[following];
    TrellisStep steps[kTrellisRows];
    const int64_t soon = step + 2 < code.steps ? step + 2 : step;  // costs come from the L2 cache: 256 KiB a grid
    for (int64_t r = 0; r < rows; ++r) {
      for (int line = 0; line < 256; line += 64) __builtin_prefetch(s.row[r].costs[soon] + line);
      uint8_t *old = s.row[r].metrics + t * s.stride, *copies = s.copies + r * kCostCopies * 256;
      steps[r] = {old, old + s.stride, {s.row[r].costs[step], s.orders}};
      if (kCostCopies > 1 && code.window > 8) {
        copy_costs(s.row[r].costs[step], copies);
        steps[r].costs.costs = copies;
      }
    }
    trellis_step(steps, rows, s.blocks, code.window, e, m);
    if ((t & 7) == 7) {
      for (int64_t r = 0; r < rows; ++r) {
        s.row[r].lowered += lower_metrics(steps[r].next, int64_t(1) << (code.window - m));
      }
    }
    step = following;
  }
}

// What a step back needs, in values: stores of bytes might change anything that is read through pointers.
struct TrellisBack {
  int64_t rows, step, t, offset;  // offset: of the metrics before the step
  int window, e;
};

// One step back from the state of each row: of the 2^M windows that lead to it, the first of least sum. Sums are not
// saturated here: where all are, it is the best of them. E = 0 for any e.
template <int M, int E>
inline void step_back(TrellisRow* rows, const uint8_t* folds, TrellisBack back) {
  const int shift = back.window - M, e = E ? E : back.e;
  uint32_t index[1 << M];
  for (uint32_t p = 0; p < 1u << M; ++p) index[p] = (p << shift & 255) ^ folds[p << shift >> 8];
  for (int64_t r = 0; r < back.rows; ++r) {
    const uint32_t state = rows[r].state, rest = (state & 255) ^ folds[state >> 8];
    const uint8_t *old = rows[r].metrics + back.offset, *costs = rows[r].costs[back.step];
    uint32_t least = ~0u;
    CODEWORD_UNROLL
    for (uint32_t p = 0; p < 1u << M; ++p) {
      const uint32_t sum = uint32_t(old[(p << shift | state) >> e]) + costs[index[p] ^ rest], key = sum << 6 | p;
      least = key < least ? key : least;
    }
    const uint32_t best = (least & 63) << shift | state;
    rows[r].emitted[back.t] = static_cast<uint8_t>(best & ((1u << e) - 1));
    rows[r].state = best >> e;
  }
}

template <int M>
inline void step_back(TrellisRow* rows, const uint8_t* folds, TrellisBack back) {
  back.e == M ? step_back<M, M>(rows, folds, back) : step_back<M, 0>(rows, folds, back);
}

inline void step_back(TrellisRow* rows, const uint8_t* folds, TrellisBack back, int m) {
  switch (m) {
    case 1:
      return step_back<1>(rows, folds, back);
    case 2:
      return step_back<2>(rows, folds, back);
    case 3:
      return step_back<3>(rows, folds, back);
    case 4:
      return step_back<4>(rows, folds, back);
    case 5:
      return step_back<5>(rows, folds, back);
    default:
      return step_back<6>(rows, folds, back);
  }
}

// Walks back through the last `back` of `count` steps from step `first` on.
inline void search_back(TrellisSearch& s, int64_t rows, int64_t first, int64_t count, int64_t back) {
  const TrellisCode& code = *s.code;
  int64_t step = (first + count - 1) % code.steps;
  int m = code.widths[step + 1 == code.steps ? 0 : step + 1];
  for (int64_t t = count - 1; t >= count - back; --t) {
    const int e = code.widths[step];
    step_back(s.row, s.folds, {rows, step, t, t * s.stride, code.window, e}, m);
    m = e;
    step = step ? step - 1 : code.steps - 1;
  }
}

// Bits of each step, oldest first, to a little-endian bit string.
inline void pack_steps(const TrellisSearch& s, const TrellisRow& row, uint8_t* out) {
  const TrellisCode& code = *s.code;
  uint64_t held = 0;
  int fill = 0;
  for (int64_t t = 0; t < code.steps; ++t) {
    const int width = code.widths[t];
    held |= uint64_t(s.reversed[row.emitted[t]] >> (6 - width)) << fill;
    for (fill += width; fill >= 8; fill -= 8, held >>= 8) *out++ = static_cast<uint8_t>(held);
  }
}

// The state before step 0 of the best path through the steps around the junction.
inline void find_junction(TrellisSearch& s, int64_t rows) {
  const TrellisCode& code = *s.code;
  const int64_t warm = code.warm, first = (code.steps - warm % code.steps) % code.steps;
  const int64_t ends = int64_t(1) << (code.window - code.widths[warm % code.steps]);
  for (int64_t r = 0; r < rows; ++r) __builtin_memset(s.row[r].metrics, 0, s.stride);
  search_forward(s, rows, first, 2 * warm);
  for (int64_t r = 0; r < rows; ++r) {
    s.row[r].state = first_least(s.row[r].metrics + 2 * warm * s.stride, ends);
  }
  search_back(s, rows, first, 2 * warm, warm);
}

inline void search_around(TrellisSearch& s, int64_t rows) {
  const TrellisCode& code = *s.code;
  for (int64_t r = 0; r < rows; ++r) {
    TrellisRow& row = s.row[r];
    __builtin_memset(row.metrics, 255, int64_t(1) << (code.window - code.widths[0]));
    row.metrics[row.state] = 0;
    row.lowered = 0;
  }
  search_forward(s, rows, 0, code.steps);
}

// All states before step 0 tried in turn, row by row.
inline void try_junctions(TrellisSearch& s, int64_t rows) {
  const TrellisCode& code = *s.code;
  for (int64_t r = 0; r < rows; ++r) {
    TrellisSearch one = s;
    one.row[0] = s.row[r];
    uint32_t least = ~0u;
    for (uint32_t state = 0; state < 1u << (code.window - code.widths[0]); ++state) {
      one.row[0].state = state;
      search_around(one, 1);
      const uint32_t total = one.row[0].lowered + one.row[0].metrics[code.steps * s.stride + state];
      if (total < least) s.row[r].state = state;
      least = total < least ? total : least;
    }
  }
}

inline void encode_rows(TrellisSearch& s, const float* x, int64_t rows, uint8_t* out) {
  const TrellisCode& code = *s.code;
  for (int64_t r = 0; r < rows; ++r) find_costs(s, s.row[r], x + r * code.d);
  if (code.warm) {
    find_junction(s, rows);
  } else {
    try_junctions(s, rows);
  }
  search_around(s, rows);
  search_back(s, rows, 0, code.steps, code.steps);
  for (int64_t r = 0; r < rows; ++r) pack_steps(s, s.row[r], out + r * code.code_size);
}

int64_t trellis_encode(const TrellisCode& code, const float* x, int64_t n, uint8_t* codes, void* scratch) {
  TrellisSearch s;
  const int64_t bytes = carve_trellis(code, scratch, s);
  if (!scratch) return bytes;
  fill_tables(s);
  for (int64_t i = 0; i < n; i += s.rows) {
    encode_rows(s, x + i * code.d, min_of(s.rows, n - i), codes + i * code.code_size);
  }
  return bytes;
}
