// trellis_scan: inner products of queries with trellis codes that are never decoded to floats. A block of 64
// coordinates becomes table values of 8 bits (trellis_look_up.h), which are multiplied by int8 weights and summed in 32
// bits; between blocks the sums are shifted, so that each block has a scale of its own. One query: values stay in
// registers, four rows side by side. More: a tile of rows is looked up once, then multiplied by 32 queries, one a lane
// or by matrix registers.
// d = 384, 2 bits, 2,000 rows in the cache, one core of a shared Intel Xeon (bench/trellis_scan.py --isa): 12 ns a row
// for one query; each of 256 queries .6 ns with matrix registers, 1.2 with VNNI. One query elsewhere: AVX-512 55, AVX2
// 80, SSE4.2 120 ns.
constexpr int64_t kScanQueries = 32;
#if CODEWORD_AMX
constexpr int64_t kScanTile = 32;  // rows; values 12 KiB for d = 384
constexpr int64_t kScanPanel = 2;  // vectors of queries
#else
constexpr int64_t kScanTile = 48;  // a multiple of kTileRows
constexpr int64_t kScanPanel = kPanelVectors;
#endif

// A 32-bit lane multiplies four values with weights by one instruction, or two of 16 bits. Values are as in the tables:
// 128 too much.
constexpr int kScanZero = 128;
#if defined(CODEWORD_SCAN_BYTES)
using ScanValue = uint8_t;
using ScanWeight = int8_t;
constexpr int64_t kScanRows = 4;  // at a time for one query
CODEWORD_INLINE Words dot_lanes(Words acc, Words values, Words weights) {
  return to_words(dot_u8s8(to_lanes(acc), to_lanes(values), to_lanes(weights)));
}
#else
using ScanValue = int16_t;
using ScanWeight = int16_t;
constexpr int64_t kScanRows = 1;
CODEWORD_INLINE Words dot_lanes(Words acc, Words values, Words weights) {
#if defined(__aarch64__) || defined(_M_ARM64)  // dot_halves adds halves that are four lanes apart
  const int16x8_t x = vreinterpretq_s16_u32(values.v), y = vreinterpretq_s16_u32(weights.v);
  const int32x4_t sums = vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
  return {vaddq_u32(acc.v, vreinterpretq_u32_s32(sums))};
#else
  return dot_halves(acc, values, weights);
#endif
}
#endif
constexpr int64_t kScanPack = 4 / sizeof(ScanValue);        // coordinates in a lane
constexpr int64_t kScanGroups = kTrellisBlock / kScanPack;  // lanes of a block
constexpr int64_t kScanVectors = kScanGroups / kLanes;      // vectors of a block

struct ScanPrepared {
  LookUp look_up;
  int64_t blocks;
  uint8_t* shifts;  // (blocks) of the sums, before each
  int32_t* ends;    // as fill_ends makes them
};

inline int64_t scan_blocks(const TrellisCode& code) { return (code.coordinates + kTrellisBlock - 1) / kTrellisBlock; }

// One query's weights, blocks in order and lanes as values are: what trellis_scan_weights makes of each.
struct ScanQuery {
  int64_t groups;
  int32_t* correction;  // to be added to the sums
  int32_t* weights;     // (groups) of kScanPack ScanWeights
};
inline int64_t scan_query_bytes(const TrellisCode& code) { return 64 + scan_blocks(code) * kScanGroups * 4; }
inline ScanQuery scan_query(const TrellisCode& code, const void* storage, int64_t l) {
  char* at = const_cast<char*>(static_cast<const char*>(storage)) + l * scan_query_bytes(code);
  return {scan_blocks(code) * kScanGroups, reinterpret_cast<int32_t*>(at), reinterpret_cast<int32_t*>(at + 64)};
}

// Some of the queries. One: its groups. More: panels of queries side by side, each (groups, lanes).
struct ScanChosen {
  int64_t lanes;         // of all panels
  int32_t* weights;      // (groups, lanes)
  int32_t* corrections;  // (lanes, but a vector at least)
};

// Vectors of the next panel, where so many queries are left.
inline int64_t panel_vectors(int64_t left) {
  constexpr int64_t half = kScanPanel / 2;
  return left > half * kLanes ? kScanPanel : left > kLanes ? half : 1;
}

inline int64_t carve_chosen(const TrellisCode& code, int64_t count, const void* storage, ScanChosen& chosen) {
  chosen.lanes = count == 1;
  while (chosen.lanes < count) chosen.lanes += panel_vectors(count - chosen.lanes) * kLanes;
  Carver carver = {static_cast<char*>(const_cast<void*>(storage))};
  chosen.weights = carver.take<int32_t>(scan_blocks(code) * kScanGroups * chosen.lanes);
  chosen.corrections = carver.take<int32_t>(max_of(chosen.lanes, kLanes));
  return carver.used;
}

inline int64_t carve_scan(const TrellisCode& code, void* memory, ScanPrepared*& made) {
  ScanPrepared p = {};
  p.blocks = scan_blocks(code);
  Carver carver = {static_cast<char*>(memory)};
  made = carver.take<ScanPrepared>(1);
  carve_look_up(carver, code, p.blocks, p.look_up);
  p.shifts = carver.take<uint8_t>(p.blocks);
  p.ends = carver.take<int32_t>(code.coordinates);
  if (memory) *made = p;
  return carver.used;
}

// The coordinate of a block at `position` of its ScanValues.
CODEWORD_INLINE int64_t scan_coordinate(int64_t position) {
#if defined(CODEWORD_SCAN_BYTES)
  return trellis_lane(position);
#else
  constexpr int64_t kHalf = kByteLanes / 2;
  return position / kByteLanes * kByteLanes + position % kHalf * 2 + position / kHalf % 2;
#endif
}

int64_t trellis_scan_prepare(const TrellisCode& code, TrellisScan& scan, void* storage) {
  ScanPrepared* made;
  const int64_t bytes = carve_scan(code, storage, made);
  if (!storage) return bytes;
  ScanPrepared& p = *made;
  scan.prepared = made;
  fill_ends(code, p.ends);
  fill_look_up(code, scan, p.ends, p.look_up);
  for (int64_t b = 0; b < p.blocks; ++b) {
    p.shifts[b] = static_cast<uint8_t>(b ? scan.rise[scan.order[b - 1]] - scan.rise[scan.order[b]] : 0);
  }
  return bytes;
}

int64_t trellis_scan_weights(const TrellisCode& code, const TrellisScan& scan, const int8_t* weights, int64_t queries,
                             void* storage) {
  const int64_t bytes = scan_query_bytes(code), blocks = scan_blocks(code);
  if (!storage) return queries * bytes;
  __builtin_memset(storage, 0, queries * bytes);
  for (int64_t l = 0; l < queries; ++l, weights += code.coordinates) {
    const ScanQuery query = scan_query(code, storage, l);
    ScanWeight* out = reinterpret_cast<ScanWeight*>(query.weights);
    uint32_t correction = 0;
    for (int64_t b = 0; b < blocks; ++b, out += kTrellisBlock) {
      const int64_t block = scan.order[b];
      int32_t sum = 0;
      for (int64_t i = 0; i < kTrellisBlock; ++i) {
        const int64_t j = block * kTrellisBlock + scan_coordinate(i);
        if (j >= code.coordinates) continue;
        out[i] = weights[j];
        sum += weights[j];
      }
      correction += static_cast<uint32_t>(sum) << scan.rise[block];
    }
    *query.correction = static_cast<int32_t>(0u - kScanZero * correction);
  }
  return queries * bytes;
}

// Lane by lane, sixteen groups at a time: a group's lanes lie in one or two lines, which stay in the cache meanwhile.
int64_t trellis_scan_choose(const TrellisCode& code, const void* weights, const int32_t* which, int64_t count,
                            void* storage) {
  ScanChosen chosen;
  const int64_t bytes = carve_chosen(code, count, storage, chosen), groups = scan_blocks(code) * kScanGroups;
  if (!storage) return bytes;
  __builtin_memset(chosen.corrections, 0, max_of(chosen.lanes, kLanes) * sizeof(int32_t));
  for (int64_t first = 0, lanes; first < count; first += lanes) {
    lanes = count == 1 ? 1 : panel_vectors(count - first) * kLanes;
    int32_t* panel = chosen.weights + first * groups;
    const int64_t used = min_of(lanes, count - first);
    if (used < lanes) __builtin_memset(panel, 0, lanes * groups * sizeof(int32_t));
    for (int64_t g = 0; g < groups; g += kScanGroups / 2) {
      for (int64_t l = 0; l < used; ++l) {
        const int32_t* from = scan_query(code, weights, which[first + l]).weights + g;
        int32_t* to = panel + g * lanes + l;
        for (int64_t i = 0; i < kScanGroups / 2; ++i) to[i * lanes] = from[i];
      }
    }
    for (int64_t l = 0; l < used; ++l) {
      chosen.corrections[first + l] = *scan_query(code, weights, which[first + l]).correction;
    }
  }
  return bytes;
}

// Fetches what lies so far ahead: codes that are not in a cache come at the rate of memory then.
constexpr int64_t kScanAhead = 4096;
CODEWORD_INLINE void fetch_ahead(const uint8_t* codes, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) prefetch(codes + kScanAhead + i);
}

// One query, kCount rows.
template <int64_t kCount>
CODEWORD_INLINE void scan_one(const TrellisCode& code, const ScanPrepared& p, const TrellisScan& scan,
                              const ScanChosen& chosen, const uint8_t* codes, int32_t* sums) {
  Words acc[4] = {zero_words(), zero_words(), zero_words(), zero_words()};
  const ScanWeight* weights = reinterpret_cast<const ScanWeight*>(chosen.weights);
  for (int64_t b = 0; b < p.blocks; ++b, weights += kTrellisBlock) {
    if (p.shifts[b]) {
      CODEWORD_UNROLL
      for (int64_t r = 0; r < kCount; ++r) acc[r] = shift_left(acc[r], p.shifts[b]);
    }
    Words values[kCount][kScanVectors];
    look_up_block(code, p.look_up, scan.order[b], codes, values);
    for (int64_t v = 0; v < kScanVectors; ++v) {
      const Words w = load_words(weights + kScanPack * kLanes * v);
      CODEWORD_UNROLL
      for (int64_t r = 0; r < kCount; ++r) acc[r] = dot_lanes(acc[r], values[r][v], w);
    }
  }
  const Words correction = load_words(chosen.corrections);  // in one lane
  for (int64_t r = 0; r < kCount; ++r) acc[r] = add(acc[r], correction);
  if constexpr (kCount == 4) return sum_lanes(acc, sums);
  int32_t four[4];
  sum_lanes(acc, four);
  for (int64_t r = 0; r < kCount; ++r) sums[r] = four[r];
}

// Where the sums of a tile from row i on and of the queries from l on go.
CODEWORD_INLINE int32_t* scan_sums(int32_t* sums, int64_t n, int64_t i, int64_t l) {
  return sums + l / kScanQueries * n * kScanQueries + i * kScanQueries + l % kScanQueries;
}

// The end of the blocks from b on whose sums are not shifted in between.
CODEWORD_INLINE int64_t end_of_run(const ScanPrepared& p, int64_t b) {
  for (++b; b < p.blocks && !p.shifts[b];) ++b;
  return b;
}

// A tile of values, blocks in order, times the panel of kVectors vectors of queries from query `first` on.
#if CODEWORD_AMX
template <int64_t kVectors>
inline void scan_panel(const ScanPrepared& p, const ScanChosen& chosen, int64_t first, const ScanValue* values,
                       int64_t rows, int64_t n, int32_t* sums) {
  constexpr int64_t kWidth = kVectors * kLanes;
  const int64_t stride = p.blocks * kTrellisBlock;
  const int32_t* weights = chosen.weights + first * p.blocks * kScanGroups;
  alignas(64) const int32_t zeros[kWidth] = {};
  alignas(64) int32_t total[kScanTile * kWidth], run[kScanTile * kWidth];
  settle_memory();
  for (int64_t b = 0, end; b < p.blocks; b = end) {
    end = end_of_run(p, b);
    const int64_t groups = (end - b) * kScanGroups;
    const int32_t* panel = weights + b * kScanGroups * kWidth;
    int32_t* to = b ? run : total;
    if (rows > 16) {
      multiply_tiles<kVectors, true>(values + b * kTrellisBlock, stride, panel, groups, zeros, to);
    } else {
      multiply_tiles<kVectors, false>(values + b * kTrellisBlock, stride, panel, groups, zeros, to);
    }
    for (int64_t i = 0; b && i < rows * kWidth; i += kLanes) {
      store_words(total + i, add(shift_left(load_words(total + i), p.shifts[b]), load_words(run + i)));
    }
  }
  for (int64_t v = 0; v < kVectors; ++v) {
    const int64_t l = first + v * kLanes;
    const Words correction = load_words(chosen.corrections + l);
    int32_t* out = scan_sums(sums, n, 0, l);
    for (int64_t r = 0; r < rows; ++r) {
      store_words(out + r * kScanQueries, add(load_words(total + r * kWidth + v * kLanes), correction));
    }
  }
}
#else
struct ScanMultiply {
  using Word = int32_t;
  using Vector = I32;
  static CODEWORD_INLINE I32 run(I32 sum, I32 x, I32 c) {
    return to_lanes(dot_lanes(to_words(sum), to_words(x), to_words(c)));
  }
};

template <int64_t kVectors>
CODEWORD_INLINE void shift_tile(I32 (&acc)[kTileRows][kVectors], int count) {
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kTileRows; ++r) {
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) acc[r][v] = to_lanes(shift_left(to_words(acc[r][v]), count));
  }
}

template <int64_t kVectors>
inline void scan_panel(const ScanPrepared& p, const ScanChosen& chosen, int64_t first, const ScanValue* values,
                       int64_t rows, int64_t n, int32_t* sums) {
  const int64_t stride = p.blocks * kTrellisBlock, row_bytes = stride * static_cast<int64_t>(sizeof(ScanValue));
  const int32_t* weights = chosen.weights + first * p.blocks * kScanGroups;
  alignas(64) const int32_t zeros[kPanelVectors * kLanes] = {};
  for (int64_t i = 0; i < rows; i += kTileRows) {
    I32 acc[kTileRows][kVectors];
    start_tile(zeros, acc);
    for (int64_t b = 0, end; b < p.blocks; b = end) {
      end = end_of_run(p, b);
      if (p.shifts[b]) shift_tile(acc, p.shifts[b]);
      multiply_tile<ScanMultiply>(weights + b * kScanGroups * kVectors * kLanes,
                                  values + i * stride + b * kTrellisBlock, row_bytes, (end - b) * kScanGroups, acc);
    }
    const int64_t last = min_of(kTileRows, rows - i);
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t l = first + v * kLanes;
      const Words correction = load_words(chosen.corrections + l);
      int32_t* out = scan_sums(sums, n, i, l);
      CODEWORD_UNROLL
      for (int64_t r = 0; r < kTileRows; ++r) {
        if (r < last) store_words(out + r * kScanQueries, add(to_words(acc[r][v]), correction));
      }
    }
  }
}
#endif

// Values of kCount rows, blocks in order.
template <int64_t kCount>
CODEWORD_INLINE void look_up_rows(const TrellisCode& code, const ScanPrepared& p, const TrellisScan& scan,
                                  const uint8_t* codes, ScanValue* values) {
  for (int64_t b = 0; b < p.blocks; ++b) {
    Words out[kCount][kScanVectors];
    look_up_block(code, p.look_up, scan.order[b], codes, out);
    CODEWORD_UNROLL
    for (int64_t r = 0; r < kCount; ++r) {
      ScanValue* to = values + (r * p.blocks + b) * kTrellisBlock;
      for (int64_t v = 0; v < kScanVectors; ++v) store_words(to + kScanPack * kLanes * v, out[r][v]);
    }
  }
}

inline void look_up_tile(const TrellisCode& code, const ScanPrepared& p, const TrellisScan& scan, const uint8_t* codes,
                         int64_t rows, ScanValue* values) {
  const int64_t size = code.code_size, stride = p.blocks * kTrellisBlock;
  int64_t i = 0;
  for (; i + kScanRows <= rows; i += kScanRows) {
    fetch_ahead(codes + i * size, kScanRows * size);
    look_up_rows<kScanRows>(code, p, scan, codes + i * size, values + i * stride);
  }
  for (; i < rows; ++i) look_up_rows<1>(code, p, scan, codes + i * size, values + i * stride);
}

inline void scan_panels(const ScanPrepared& p, const ScanChosen& chosen, int64_t queries, const ScanValue* values,
                        int64_t rows, int64_t n, int32_t* sums) {
  for (int64_t l = 0, vectors; l < chosen.lanes; l += vectors * kLanes) {
    vectors = panel_vectors(queries - l);
    if (vectors == kScanPanel) {
      scan_panel<kScanPanel>(p, chosen, l, values, rows, n, sums);
    } else if (vectors > 1) {
      scan_panel<kScanPanel / 2>(p, chosen, l, values, rows, n, sums);
    } else {
      scan_panel<1>(p, chosen, l, values, rows, n, sums);
    }
  }
}

inline void scan_rows(const TrellisCode& code, const TrellisScan& scan, const ScanChosen& chosen, int64_t queries,
                      const uint8_t* codes, int64_t n, int32_t* sums, ScanValue* values) {
  const ScanPrepared& p = *static_cast<const ScanPrepared*>(scan.prepared);
  const int64_t size = code.code_size;
  if (queries == 1) {
    int64_t i = 0;
    for (; i + kScanRows <= n; i += kScanRows) {
      fetch_ahead(codes + i * size, kScanRows * size);
      scan_one<kScanRows>(code, p, scan, chosen, codes + i * size, sums + i);
    }
    for (; i < n; ++i) scan_one<1>(code, p, scan, chosen, codes + i * size, sums + i);
    return;
  }
#if CODEWORD_AMX
  const HeldTiles held;
#endif
  for (int64_t i = 0; i < n; i += kScanTile) {
    const int64_t rows = min_of(kScanTile, n - i);
    look_up_tile(code, p, scan, codes + i * size, rows, values);
    scan_panels(p, chosen, queries, values, rows, n, sums + i * kScanQueries);
  }
}

int64_t trellis_scan(const TrellisCode& code, const TrellisScan& scan, const void* chosen, int64_t queries,
                     const uint8_t* codes, int64_t n, int32_t* sums, void* scratch) {
  Carver carver = {static_cast<char*>(scratch)};
  ScanValue* values = carver.take<ScanValue>(kScanTile * scan_blocks(code) * kTrellisBlock);
  if (!scratch) return carver.used;
  ScanChosen panels;
  carve_chosen(code, queries, chosen, panels);
  scan_rows(code, scan, panels, queries, codes, n, sums, values);
  return carver.used;
}

// The sum of values * weights (n), exact: of every lane the sums modulo 2^32 and of upper halves, of pairs of products
// that are moved to 0 ... 2^32 - 1 (both products at their most negative do not occur: weights are at least -32767).
CODEWORD_INLINE int64_t dot_wide(const int16_t* values, const int16_t* weights, int64_t n) {
  constexpr int64_t kHalves = 2 * kLanes;
  alignas(64) uint32_t whole[kLanes], high[kLanes];
  Words low = zero_words(), upper = zero_words();
  const Words middle = low_to_high(splat_halves(-32768));
  int64_t j = 0;
  for (; j + kHalves <= n; j += kHalves) {
    const Words both = dot_halves(middle, load_words(values + j), load_words(weights + j));
    low = add(low, both);
    upper = add(upper, high_to_low(both));
  }
  store_words(whole, low);
  store_words(high, upper);
  int64_t sum = -(j / kHalves * kLanes << 31);
  for (int64_t l = 0; l < kLanes; ++l) sum += int64_t(high[l]) * 65536 + (whole[l] - (high[l] << 16));
  for (; j < n; ++j) sum += int32_t(values[j]) * int32_t(weights[j]);
  return sum;
}

int64_t trellis_dot(const TrellisCode& code, const uint8_t* codes, int64_t n, const int16_t* weights, int64_t queries,
                    int64_t* sums, int64_t step, void* scratch) {
  const int64_t bytes = reader_bytes(code) + code.coordinates * int64_t(sizeof(int16_t)) + 64;
  if (!scratch) return bytes;
  const TrellisReader r = reader_of(code, scratch);
  int16_t* values = reinterpret_cast<int16_t*>(static_cast<char*>(scratch) + reader_bytes(code));
  const int64_t blocks = code.coordinates / kTrellisBlock;
  for (int64_t i = 0; i < n; ++i) {
    read_code(code, codes + i * code.code_size, r.bytes);
    for (int64_t b = 0; b < blocks; ++b) block_values(code, r, b * kTrellisBlock, values + b * kTrellisBlock);
    for (int64_t j = blocks * kTrellisBlock; j < code.coordinates; ++j) values[j] = trellis_value(code, r, j);
    for (int64_t l = 0; l < queries; ++l) {
      sums[l * step + i] = dot_wide(values, weights + l * code.coordinates, code.coordinates);
    }
  }
  return bytes;
}
