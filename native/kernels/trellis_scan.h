// trellis_scan: inner products of queries with trellis codes that are never decoded to floats. A block of 64
// coordinates becomes table values of 8 bits, which are multiplied by int8 weights and summed in 32 bits; between
// blocks the sums are shifted, so that each block has a scale of its own. One query: values stay in registers, four
// rows side by side. More: a tile of rows is looked up once, then multiplied by 32 queries, one a lane.
// With VBMI and VNNI, d = 384, one core of a busy Intel Xeon at 2.6 GHz (bench/trellis_scan.py): 16 ns a row for one
// query, 1.3 ns for each of many; elsewhere looking up takes 400 ns a row.
constexpr int64_t kScanQueries = 32;
constexpr int64_t kScanTile = 48;  // rows, a multiple of kTileRows: 18 KiB of values for d = 384

// A 32-bit lane multiplies four values with weights by one instruction, or two of 16 bits.
#if defined(__AVX512VBMI__) && defined(__GFNI__) && defined(CODEWORD_VNNI)
#define CODEWORD_SCAN_BYTES 1
using ScanValue = uint8_t;  // as it is in the table: 128 too much
using ScanWeight = int8_t;
constexpr int kScanZero = 128;
CODEWORD_INLINE Words dot_lanes(Words acc, Words values, Words weights) {
  return {_mm512_dpbusd_epi32(acc.v, values.v, weights.v)};
}
#else
using ScanValue = int16_t;
using ScanWeight = int16_t;
constexpr int kScanZero = 0;
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
  TrellisReader reader;
  int64_t blocks, lanes;  // lanes: of all panels of queries
  bool spread;            // some index needs more than eight bytes with the seven before it
  // One query: (blocks, 64), blocks in order. More: panels of queries, each (blocks, kScanGroups, lanes, kScanPack).
  ScanWeight* weights;
  uint8_t* shifts;       // (blocks) of the sums, before each
  uint8_t* tables;       // as in TrellisScan
  int32_t* corrections;  // (lanes) to be added to the sums
};

// Vectors of the next panel, where so many queries are left.
inline int64_t panel_vectors(int64_t left) {
  constexpr int64_t half = kPanelVectors / 2;
  return left > half * kLanes ? kPanelVectors : left > kLanes ? half : 1;
}

inline int64_t carve_scan(const TrellisCode& code, const TrellisScan& scan, void* memory, ScanPrepared*& made) {
  ScanPrepared p = {};
  p.blocks = (code.coordinates + kTrellisBlock - 1) / kTrellisBlock;
  p.lanes = scan.queries == 1;
  while (p.lanes < scan.queries) p.lanes += panel_vectors(scan.queries - p.lanes) * kLanes;
  int64_t tables = 0;
  for (int64_t j = 0; j < code.coordinates; ++j) tables = max_of(tables, int64_t(code.tables[j]) + 1);
  Carver carver = {static_cast<char*>(memory)};
  made = carver.take<ScanPrepared>(1);
  p.reader.ends = carver.take<int32_t>(code.coordinates);
  p.reader.blocks = carver.take<TrellisBlock>(p.blocks);
  p.weights = carver.take<ScanWeight>(p.blocks * kTrellisBlock * p.lanes);
  p.shifts = carver.take<uint8_t>(p.blocks);
  p.tables = carver.take<uint8_t>(tables * 256);
  p.corrections = carver.take<int32_t>(p.lanes);
  if (!memory) return carver.used;
  *made = p;
  __builtin_memcpy(p.tables, scan.values, tables * 256);
  return carver.used;
}

// Lane of a block that holds its coordinate at `position`, in ScanValues.
CODEWORD_INLINE int64_t scan_coordinate(int64_t position) {
#if defined(CODEWORD_SCAN_BYTES)
  return trellis_lane(position);
#else
  return position;
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
  __builtin_memset(p.corrections, 0, p.lanes * sizeof(int32_t));
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
  fill_ends(code, p.reader.ends);
  p.reader.fold = fold_matrix(code);
  for (int64_t b = 0; b < p.blocks; ++b) {
    TrellisBlock& block = p.reader.blocks[b];
    fill_block(code, p.reader.ends, b * kTrellisBlock, block);
    for (int64_t l = 0; l < kTrellisBlock; ++l) p.spread |= block.shifts[l] > 48;
    // Bytes are counted from the first of the row; the two before it are lanes 62 and 63.
    block.base -= 2;
    for (int64_t l = 0; block.base < 0 && l < kTrellisBlock; ++l) {
      block.bytes[l] = static_cast<uint8_t>((block.bytes[l] + block.base) & 63);
    }
  }
  for (int64_t b = 0; b < p.blocks; ++b) {
    p.shifts[b] = static_cast<uint8_t>(b ? scan.rise[scan.order[b - 1]] - scan.rise[scan.order[b]] : 0);
  }
  lay_weights(code, scan, p);
  return bytes;
}

#if defined(CODEWORD_SCAN_BYTES)
struct ScanRow {
  const uint8_t* bytes;
  uint16_t last;  // the last two bytes
};

CODEWORD_INLINE ScanRow scan_row(const TrellisCode& code, const uint8_t* row, uint8_t*) {
  const int64_t size = code.code_size;
  return {row, static_cast<uint16_t>(row[size - 1] << 8 | row[size > 1 ? size - 2 : 0])};
}

template <bool kSpread>
CODEWORD_INLINE void scan_block(const TrellisCode&, const ScanPrepared& p, int64_t b, ScanRow row, Words (&out)[1]) {
  const TrellisBlock& block = p.reader.blocks[b];
  __m512i bytes;
  if (block.base < 0) {
    bytes = _mm512_mask_set1_epi16(_mm512_loadu_si512(row.bytes), __mmask32(1) << 31, static_cast<int16_t>(row.last));
  } else {
    bytes = _mm512_loadu_si512(row.bytes + block.base);
  }
  const __m512i order = _mm512_load_si512(block.bytes), shifts = _mm512_load_si512(block.shifts);
  const __m512i groups = _mm512_permutexvar_epi8(order, bytes);
  const __m512i older = _mm512_multishift_epi64_epi8(shifts, groups);
  const __m512i eight = _mm512_set1_epi8(8);
  __m512i newest;
  if (kSpread) {  // the byte after, by the same shifts
    const __m512i next = _mm512_permutexvar_epi8(_mm512_add_epi8(order, _mm512_set1_epi8(1)), bytes);
    newest = _mm512_multishift_epi64_epi8(shifts, next);
  } else {
    newest = _mm512_multishift_epi64_epi8(_mm512_add_epi8(shifts, eight), groups);
  }
  const __m512i fold = _mm512_set1_epi64(static_cast<int64_t>(p.reader.fold));
  const __m512i index = _mm512_xor_si512(newest, _mm512_gf2p8affine_epi64_epi8(older, fold, 0));
  const __mmask64 upper = _mm512_movepi8_mask(index);
  __m512i values = table_bytes(p.tables + block.tables[0] * 256, index, upper);
  for (int t = 1; t < block.used; ++t) {
    values = _mm512_mask_mov_epi8(values, block.lanes[t], table_bytes(p.tables + block.tables[t] * 256, index, upper));
  }
  out[0] = {values};
}
#else
using ScanRow = const uint8_t*;

CODEWORD_INLINE ScanRow scan_row(const TrellisCode& code, const uint8_t* row, uint8_t* copy) {
  read_code(code, row, copy);
  return copy;
}

template <bool>
CODEWORD_INLINE void scan_block(const TrellisCode& code, const ScanPrepared& p, int64_t b, ScanRow row,
                                Words (&out)[kScanVectors]) {
  alignas(64) int16_t values[kTrellisBlock] = {};
  const int64_t first = b * kTrellisBlock, count = min_of(kTrellisBlock, code.coordinates - first);
  const int32_t* ends = p.reader.ends + first;
  const uint8_t* tables = code.tables + first;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t end = static_cast<uint32_t>(ends[i]), bits = load_u32(row + (end >> 3)) >> (end & 7);
    values[i] = static_cast<int16_t>(p.tables[tables[i] * 256 + ((bits >> 8 & 255) ^ code.folds[bits & 255])] - 128);
  }
  for (int64_t v = 0; v < kScanVectors; ++v) out[v] = load_words(values + 2 * kLanes * v);
}
#endif

// One query, kRows rows.
template <bool kSpread, int kRows>
CODEWORD_INLINE void scan_one(const TrellisCode& code, const ScanPrepared& p, const TrellisScan& scan,
                              const uint8_t* codes, uint8_t* copies, int32_t* sums) {
  Words acc[4] = {zero_words(), zero_words(), zero_words(), zero_words()};
  ScanRow rows[kRows];
  for (int r = 0; r < kRows; ++r) {
    rows[r] = scan_row(code, codes + r * code.code_size, copies + r * (code.code_size + 8));
  }
  const ScanWeight* weights = p.weights;
  for (int64_t b = 0; b < p.blocks; ++b, weights += kTrellisBlock) {
    if (p.shifts[b]) {
      CODEWORD_UNROLL
      for (int r = 0; r < kRows; ++r) acc[r] = shift_left(acc[r], p.shifts[b]);
    }
    CODEWORD_UNROLL
    for (int r = 0; r < kRows; ++r) {
      Words values[kScanVectors];
      scan_block<kSpread>(code, p, scan.order[b], rows[r], values);
      for (int64_t v = 0; v < kScanVectors; ++v) {
        acc[r] = dot_lanes(acc[r], values[v], load_words(weights + kScanPack * kLanes * v));
      }
    }
  }
  int32_t four[4];
  sum_lanes(acc, four);
  for (int r = 0; r < kRows; ++r) {
    sums[r] = static_cast<int32_t>(static_cast<uint32_t>(four[r]) + static_cast<uint32_t>(p.corrections[0]));
  }
}

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

// A tile of values, blocks in order, times the panel of kVectors vectors of queries from query `first` on.
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
      for (end = b + 1; end < p.blocks && !p.shifts[end];) ++end;
      if (p.shifts[b]) shift_tile(acc, p.shifts[b]);
      multiply_tile<ScanMultiply>(weights + b * kTrellisBlock * kVectors * kLanes,
                                  values + i * stride + b * kTrellisBlock, row_bytes, (end - b) * kScanGroups, acc);
    }
    const int64_t last = min_of(kTileRows, rows - i);
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t l = first + v * kLanes;
      const Words correction = load_words(p.corrections + l);
      int32_t* out = sums + l / kScanQueries * n * kScanQueries + i * kScanQueries + l % kScanQueries;
      CODEWORD_UNROLL
      for (int64_t r = 0; r < kTileRows; ++r) {
        if (r < last) store_words(out + r * kScanQueries, add(to_words(acc[r][v]), correction));
      }
    }
  }
}

template <bool kSpread>
inline void look_up_tile(const TrellisCode& code, const ScanPrepared& p, const TrellisScan& scan, const uint8_t* codes,
                         int64_t rows, uint8_t* copy, ScanValue* values) {
  for (int64_t i = 0; i < rows; ++i) {
    const ScanRow row = scan_row(code, codes + i * code.code_size, copy);
    for (int64_t b = 0; b < p.blocks; ++b, values += kTrellisBlock) {
      Words out[kScanVectors];
      scan_block<kSpread>(code, p, scan.order[b], row, out);
      for (int64_t v = 0; v < kScanVectors; ++v) store_words(values + kScanPack * kLanes * v, out[v]);
    }
  }
}

template <bool kSpread>
inline void scan_rows(const TrellisCode& code, const TrellisScan& scan, const uint8_t* codes, int64_t n, int32_t* sums,
                      uint8_t* copies, ScanValue* values) {
  const ScanPrepared& p = *static_cast<const ScanPrepared*>(scan.prepared);
  const int64_t size = code.code_size;
  if (scan.queries == 1) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) scan_one<kSpread, 4>(code, p, scan, codes + i * size, copies, sums + i);
    for (; i < n; ++i) scan_one<kSpread, 1>(code, p, scan, codes + i * size, copies, sums + i);
    return;
  }
  for (int64_t i = 0; i < n; i += kScanTile) {
    const int64_t rows = min_of(kScanTile, n - i);
    look_up_tile<kSpread>(code, p, scan, codes + i * size, rows, copies, values);
    int32_t* out = sums + i * kScanQueries;
    for (int64_t l = 0, vectors; l < p.lanes; l += vectors * kLanes) {
      vectors = panel_vectors(scan.queries - l);
      if (vectors == kPanelVectors) {
        scan_panel<kPanelVectors>(p, l, values, rows, n, out);
      } else if (vectors > 1) {
        scan_panel<kPanelVectors / 2>(p, l, values, rows, n, out);
      } else {
        scan_panel<1>(p, l, values, rows, n, out);
      }
    }
  }
}

int64_t trellis_scan(const TrellisCode& code, const TrellisScan& scan, const uint8_t* codes, int64_t n, int32_t* sums,
                     void* scratch) {
  const int64_t blocks = (code.coordinates + kTrellisBlock - 1) / kTrellisBlock;
  Carver carver = {static_cast<char*>(scratch)};
  uint8_t* copies = carver.take<uint8_t>(4 * (code.code_size + 8));
  ScanValue* values = carver.take<ScanValue>(kScanTile * blocks * kTrellisBlock);
  if (!scratch) return carver.used;
  if (static_cast<const ScanPrepared*>(scan.prepared)->spread) {
    scan_rows<true>(code, scan, codes, n, sums, copies, values);
  } else {
    scan_rows<false>(code, scan, codes, n, sums, copies, values);
  }
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
