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
  int64_t blocks, lanes;  // lanes: of all panels of queries
  // One query: (blocks, 64), blocks in order. More: panels of queries, each (blocks, kScanGroups, lanes, kScanPack).
  ScanWeight* weights;
  uint8_t* shifts;       // (blocks) of the sums, before each
  int32_t* ends;         // as fill_ends makes them
  int32_t* corrections;  // (lanes, but a vector at least) to be added to the sums
};

// Vectors of the next panel, where so many queries are left.
inline int64_t panel_vectors(int64_t left) {
  constexpr int64_t half = kScanPanel / 2;
  return left > half * kLanes ? kScanPanel : left > kLanes ? half : 1;
}

inline int64_t carve_scan(const TrellisCode& code, const TrellisScan& scan, void* memory, ScanPrepared*& made) {
  ScanPrepared p = {};
  p.blocks = (code.coordinates + kTrellisBlock - 1) / kTrellisBlock;
  p.lanes = scan.queries == 1;
  while (p.lanes < scan.queries) p.lanes += panel_vectors(scan.queries - p.lanes) * kLanes;
  Carver carver = {static_cast<char*>(memory)};
  made = carver.take<ScanPrepared>(1);
  carve_look_up(carver, code, p.blocks, p.look_up);
  p.weights = carver.take<ScanWeight>(p.blocks * kTrellisBlock * p.lanes);
  p.shifts = carver.take<uint8_t>(p.blocks);
  p.ends = carver.take<int32_t>(code.coordinates);
  p.corrections = carver.take<int32_t>(max_of(p.lanes, kLanes));
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

// Weights of query l, its lanes `step` weights apart.
inline void lay_query(const TrellisCode& code, const TrellisScan& scan, ScanPrepared& p, int64_t l, ScanWeight* out,
                      int64_t step) {
  uint32_t correction = 0;
  for (int64_t b = 0; b < p.blocks; ++b) {
    const int64_t block = scan.order[b];
    int32_t sum = 0;
    for (int64_t i = 0; i < kTrellisBlock; ++i) {
      const int64_t j = block * kTrellisBlock + scan_coordinate(i);
      if (j >= code.coordinates) continue;
      const int8_t weight = scan.weights[l * code.coordinates + j];
      out[(b * kScanGroups + i / kScanPack) * step + i % kScanPack] = weight;
      sum += weight;
    }
    correction += static_cast<uint32_t>(sum) << scan.rise[block];
  }
  p.corrections[l] = static_cast<int32_t>(0u - kScanZero * correction);
}

inline void lay_weights(const TrellisCode& code, const TrellisScan& scan, ScanPrepared& p) {
  __builtin_memset(p.weights, 0, p.blocks * kTrellisBlock * p.lanes * sizeof(ScanWeight));
  __builtin_memset(p.corrections, 0, max_of(p.lanes, kLanes) * sizeof(int32_t));
  if (scan.queries == 1) return lay_query(code, scan, p, 0, p.weights, kScanPack);
  for (int64_t first = 0, lanes; first < p.lanes; first += lanes) {
    lanes = panel_vectors(scan.queries - first) * kLanes;
    ScanWeight* panel = p.weights + first * p.blocks * kTrellisBlock;
    for (int64_t l = first; l < min_of(first + lanes, scan.queries); ++l) {
      lay_query(code, scan, p, l, panel + (l - first) * kScanPack, lanes * kScanPack);
    }
  }
}

int64_t trellis_scan_prepare(const TrellisCode& code, TrellisScan& scan, void* storage) {
  ScanPrepared* made;
  const int64_t bytes = carve_scan(code, scan, storage, made);
  if (!storage) return bytes;
  ScanPrepared& p = *made;
  scan.prepared = made;
  fill_ends(code, p.ends);
  fill_look_up(code, scan, p.ends, p.look_up);
  for (int64_t b = 0; b < p.blocks; ++b) {
    p.shifts[b] = static_cast<uint8_t>(b ? scan.rise[scan.order[b - 1]] - scan.rise[scan.order[b]] : 0);
  }
  lay_weights(code, scan, p);
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
                              const uint8_t* codes, int32_t* sums) {
  Words acc[4] = {zero_words(), zero_words(), zero_words(), zero_words()};
  const ScanWeight* weights = p.weights;
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
  const Words correction = load_words(p.corrections);  // in one lane
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
inline void scan_panel(const ScanPrepared& p, int64_t first, const ScanValue* values, int64_t rows, int64_t n,
                       int32_t* sums) {
  constexpr int64_t kWidth = kVectors * kLanes;
  const int64_t stride = p.blocks * kTrellisBlock;
  const int32_t* weights = reinterpret_cast<const int32_t*>(p.weights + first * stride);
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
    const Words correction = load_words(p.corrections + l);
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
inline void scan_panel(const ScanPrepared& p, int64_t first, const ScanValue* values, int64_t rows, int64_t n,
                       int32_t* sums) {
  const int64_t stride = p.blocks * kTrellisBlock, row_bytes = stride * static_cast<int64_t>(sizeof(ScanValue));
  const ScanWeight* weights = p.weights + first * stride;
  alignas(64) const int32_t zeros[kPanelVectors * kLanes] = {};
  for (int64_t i = 0; i < rows; i += kTileRows) {
    I32 acc[kTileRows][kVectors];
    start_tile(zeros, acc);
    for (int64_t b = 0, end; b < p.blocks; b = end) {
      end = end_of_run(p, b);
      if (p.shifts[b]) shift_tile(acc, p.shifts[b]);
      multiply_tile<ScanMultiply>(weights + b * kTrellisBlock * kVectors * kLanes,
                                  values + i * stride + b * kTrellisBlock, row_bytes, (end - b) * kScanGroups, acc);
    }
    const int64_t last = min_of(kTileRows, rows - i);
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t l = first + v * kLanes;
      const Words correction = load_words(p.corrections + l);
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

inline void scan_panels(const ScanPrepared& p, int64_t queries, const ScanValue* values, int64_t rows, int64_t n,
                        int32_t* sums) {
  for (int64_t l = 0, vectors; l < p.lanes; l += vectors * kLanes) {
    vectors = panel_vectors(queries - l);
    if (vectors == kScanPanel) {
      scan_panel<kScanPanel>(p, l, values, rows, n, sums);
    } else if (vectors > 1) {
      scan_panel<kScanPanel / 2>(p, l, values, rows, n, sums);
    } else {
      scan_panel<1>(p, l, values, rows, n, sums);
    }
  }
}

inline void scan_rows(const TrellisCode& code, const TrellisScan& scan, const uint8_t* codes, int64_t n, int32_t* sums,
                      ScanValue* values) {
  const ScanPrepared& p = *static_cast<const ScanPrepared*>(scan.prepared);
  const int64_t size = code.code_size;
  if (scan.queries == 1) {
    int64_t i = 0;
    for (; i + kScanRows <= n; i += kScanRows) {
      fetch_ahead(codes + i * size, kScanRows * size);
      scan_one<kScanRows>(code, p, scan, codes + i * size, sums + i);
    }
    for (; i < n; ++i) scan_one<1>(code, p, scan, codes + i * size, sums + i);
    return;
  }
#if CODEWORD_AMX
  const HeldTiles held;
#endif
  for (int64_t i = 0; i < n; i += kScanTile) {
    const int64_t rows = min_of(kScanTile, n - i);
    look_up_tile(code, p, scan, codes + i * size, rows, values);
    scan_panels(p, scan.queries, values, rows, n, sums + i * kScanQueries);
  }
}

int64_t trellis_scan(const TrellisCode& code, const TrellisScan& scan, const uint8_t* codes, int64_t n, int32_t* sums,
                     void* scratch) {
  const int64_t blocks = (code.coordinates + kTrellisBlock - 1) / kTrellisBlock;
  Carver carver = {static_cast<char*>(scratch)};
  ScanValue* values = carver.take<ScanValue>(kScanTile * blocks * kTrellisBlock);
  if (!scratch) return carver.used;
  scan_rows(code, scan, codes, n, sums, values);
  return carver.used;
}

int64_t trellis_dot(const TrellisCode& code, const uint8_t* codes, int64_t n, const int16_t* weights, int64_t queries,
                    int64_t* sums, int64_t step, void* scratch) {
  TrellisReader r;
  const int64_t bytes = carve_reader(code, scratch, r);
  if (!scratch) return bytes + code.coordinates * int64_t(sizeof(int16_t)) + 64;
  int16_t* values = reinterpret_cast<int16_t*>(static_cast<char*>(scratch) + round_up(bytes, 64));
  fill_reader(code, r);
  const int64_t blocks = code.coordinates / kTrellisBlock;
  for (int64_t i = 0; i < n; ++i) {
    read_code(code, codes + i * code.code_size, r.bytes);
    for (int64_t b = 0; b < blocks; ++b) block_values(code, r, b * kTrellisBlock, values + b * kTrellisBlock);
    for (int64_t j = blocks * kTrellisBlock; j < code.coordinates; ++j) values[j] = trellis_value(code, r, j);
    for (int64_t l = 0; l < queries; ++l) {
      const int16_t* w = weights + l * code.coordinates;
      int64_t sum = 0;
      for (int64_t j = 0; j < code.coordinates; ++j) sum += int32_t(values[j]) * int32_t(w[j]);
      sums[l * step + i] = sum;
    }
  }
  return bytes;
}
