// trellis_decode: every coordinate is a look-up by 16 bits of the code, so all are independent of each other. Blocks of
// 64 coordinates: index bytes, then table values as int16, then float32. VBMI does the first two in vectors, 5.2 G
// coordinates a second on one core of an Intel Xeon at 2.6 GHz (bench/trellis.py); elsewhere they are scalar, 1.0
// to 1.2 G.
constexpr int64_t kTrellisBlock = 64;

// A block of coordinates; positions are those of the vectors below, where lane l holds coordinate `trellis_lane(l)`.
struct TrellisBlock {
  alignas(64) uint8_t bytes[kTrellisBlock];   // which byte after `base` each lane gets
  alignas(64) uint8_t shifts[kTrellisBlock];  // which bit of the eight bytes of its group the older byte begins at
  int64_t base;
  bool consecutive;  // columns
  bool spread;       // some coordinate needs more than eight bytes with the seven before it
  int used;
  uint8_t tables[kTrellisBlock];  // `used` different ones
  uint64_t lanes[kTrellisBlock];  // of each
};

struct TrellisReader {
  uint8_t* bytes;  // the last two bytes of the code, the code, zeros
  int32_t* ends;   // (coordinates) first bit of `bytes` of the 16 that a coordinate is looked up by
  TrellisBlock* blocks;
  uint8_t *low, *high;  // (tables, 256) bytes of the values
  uint64_t fold;        // folds as a matrix of bits
};

// Groups of eight are laid out so that interleaving bytes of values within groups of 16 puts coordinates in order.
CODEWORD_INLINE int64_t trellis_lane(int64_t l) { return (l / 16 + (l / 8 % 2) * 4) * 8 + l % 8; }

inline int64_t carve_reader(const TrellisCode& code, void* memory, TrellisReader& r) {
  int64_t tables = 0;
  for (int64_t j = 0; j < code.coordinates; ++j) tables = max_of(tables, int64_t(code.tables[j]) + 1);
  Carver carver = {static_cast<char*>(memory)};
  r.bytes = carver.take<uint8_t>(code.code_size + 80);
  r.ends = carver.take<int32_t>(code.coordinates);
  r.blocks = carver.take<TrellisBlock>(code.coordinates / kTrellisBlock);
  r.low = carver.take<uint8_t>(tables * 256);
  r.high = carver.take<uint8_t>(tables * 256);
  for (int64_t i = 0; memory && i < tables * 256; ++i) {
    r.low[i] = static_cast<uint8_t>(code.values[i]);
    r.high[i] = static_cast<uint8_t>(code.values[i] >> 8);
  }
  return carver.used;
}

inline void fill_block(const TrellisCode& code, const int32_t* ends, int64_t first, TrellisBlock& block) {
  block.base = ends[first] >> 3;
  block.used = 0;
  block.consecutive = true;
  block.spread = false;
  const int64_t last = code.coordinates - 1;  // a block that is not full ends with copies of it
  for (int64_t l = 0; l < kTrellisBlock; ++l) {
    const int64_t wanted = first + trellis_lane(l), j = min_of(wanted, last),
                  group = ends[min_of(wanted - l % 8, last)] >> 3;
    // Seven widths of at most 6, the byte itself and what is before it in its first byte: 42 + 8 + 7 bits of the 64.
    block.bytes[l] = static_cast<uint8_t>(group - block.base + l % 8);
    block.shifts[l] = static_cast<uint8_t>(ends[j] - 8 * group);
    block.spread |= block.shifts[l] > 48;
    block.consecutive &= code.columns[min_of(first + l, last)] == code.columns[first] + l;
    int t = 0;
    while (t < block.used && block.tables[t] != code.tables[j]) ++t;
    if (t == block.used) {
      block.tables[block.used] = code.tables[j];
      block.lanes[block.used++] = 0;
    }
    block.lanes[t] |= uint64_t(1) << l;
  }
}

inline void fill_ends(const TrellisCode& code, int32_t* ends) {
  int32_t end = 0;
  for (int64_t t = 0; t < code.steps; ++t) {
    end += code.widths[t];
    for (int64_t j = code.firsts[t]; j < code.firsts[t + 1]; ++j) ends[j] = end;
  }
}

// Of the linear map that takes 1 << j to images[j]. Row i of the matrix, which makes bit i, is byte 7 - i; bit j of a
// row goes with bit j of the byte.
inline uint64_t bit_matrix(const uint8_t (&images)[8]) {
  uint64_t matrix = 0;
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) matrix |= uint64_t(images[j] >> i & 1) << (8 * (7 - i) + j);
  }
  return matrix;
}

inline uint64_t fold_matrix(const TrellisCode& code) {
  uint8_t images[8];
  for (int j = 0; j < 8; ++j) images[j] = code.folds[1 << j];
  return bit_matrix(images);
}

inline void fill_reader(const TrellisCode& code, TrellisReader& r) {
  fill_ends(code, r.ends);
  __builtin_memset(r.bytes, 0, code.code_size + 80);
  for (int64_t b = 0; b < code.coordinates / kTrellisBlock; ++b) {
    fill_block(code, r.ends, b * kTrellisBlock, r.blocks[b]);
  }
  r.fold = fold_matrix(code);
}

// The code with its last two bytes in front.
CODEWORD_INLINE void read_code(const TrellisCode& code, const uint8_t* row, uint8_t* bytes) {
  const int64_t size = code.code_size;
  for (int64_t b = 0; b < 2; ++b) bytes[b] = row[(2 * size - 2 + b) % size];
  __builtin_memcpy(bytes + 2, row, size);
}

CODEWORD_INLINE int16_t trellis_value(const TrellisCode& code, const TrellisReader& r, int64_t j) {
  const uint32_t bits = load_u32(r.bytes + (static_cast<uint32_t>(r.ends[j]) >> 3)) >> (r.ends[j] & 7);
  return code.values[code.tables[j] * 256 + ((bits >> 8 & 255) ^ code.folds[bits & 255])];
}

// Values of 64 coordinates, in order.
#if defined(__AVX512VBMI__) && defined(__GFNI__)
CODEWORD_INLINE __m512i table_bytes(const uint8_t* table, __m512i index, __mmask64 upper) {
  const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), index, _mm512_loadu_si512(table + 64));
  const __m512i high =
      _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), index, _mm512_loadu_si512(table + 192));
  return _mm512_mask_mov_epi8(low, upper, high);
}

inline void block_values(const TrellisCode&, const TrellisReader& r, int64_t first, int16_t* values) {
  const TrellisBlock& block = r.blocks[first / kTrellisBlock];
  const __m512i order = _mm512_load_si512(block.bytes), shifts = _mm512_load_si512(block.shifts);
  const __m512i older =
      _mm512_multishift_epi64_epi8(shifts, _mm512_permutexvar_epi8(order, _mm512_loadu_si512(r.bytes + block.base)));
  const __m512i newest = _mm512_multishift_epi64_epi8(
      shifts, _mm512_permutexvar_epi8(order, _mm512_loadu_si512(r.bytes + block.base + 1)));
  const __m512i fold = _mm512_set1_epi64(static_cast<int64_t>(r.fold));
  const __m512i index = _mm512_xor_si512(newest, _mm512_gf2p8affine_epi64_epi8(older, fold, 0));
  const __mmask64 upper = _mm512_movepi8_mask(index);
  __m512i low = _mm512_setzero_si512(), high = low;
  for (int t = 0; t < block.used; ++t) {
    const int64_t table = block.tables[t] * 256;
    low = _mm512_mask_mov_epi8(low, block.lanes[t], table_bytes(r.low + table, index, upper));
    high = _mm512_mask_mov_epi8(high, block.lanes[t], table_bytes(r.high + table, index, upper));
  }
  _mm512_store_si512(values, _mm512_unpacklo_epi8(low, high));
  _mm512_store_si512(values + 32, _mm512_unpackhi_epi8(low, high));
}
#else
inline void block_values(const TrellisCode& code, const TrellisReader& r, int64_t first, int16_t* values) {
  const TrellisBlock& block = r.blocks[first / kTrellisBlock];
  const int16_t* table = code.values + block.tables[0] * 256;
  if (block.used > 1) {
    for (int64_t i = 0; i < kTrellisBlock; ++i) values[i] = trellis_value(code, r, first + i);
    return;
  }
  for (int64_t i = 0; i < kTrellisBlock; ++i) {
    const uint32_t end = static_cast<uint32_t>(r.ends[first + i]), bits = load_u32(r.bytes + (end >> 3)) >> (end & 7);
    values[i] = table[(bits >> 8 & 255) ^ code.folds[bits & 255]];
  }
}
#endif

inline void finish_block(const TrellisCode& code, int64_t first, bool consecutive, const int16_t* values, float* x) {
  alignas(64) float rows[kTrellisBlock];
  const float *scales = code.scales + first, *means = code.means + first;
  float* CODEWORD_RESTRICT out = consecutive ? x + code.columns[first] : rows;
  for (int64_t i = 0; i < kTrellisBlock; ++i) out[i] = static_cast<float>(values[i]) * scales[i] + means[i];
  if (consecutive) return;
  for (int64_t i = 0; i < kTrellisBlock; ++i) x[code.columns[first + i]] = rows[i];
}

int64_t trellis_prepare(const TrellisCode& code, void* storage) {
  const int64_t head = round_up(int64_t(sizeof(TrellisReader)), 64);
  TrellisReader r;
  const int64_t bytes = head + carve_reader(code, storage ? static_cast<char*>(storage) + head : nullptr, r);
  if (!storage) return bytes;
  fill_reader(code, r);
  *static_cast<TrellisReader*>(storage) = r;
  return bytes;
}

// What was prepared, with bytes of a code that are the caller's own.
inline int64_t reader_bytes(const TrellisCode& code) { return round_up(code.code_size + 80, 64); }
inline TrellisReader reader_of(const TrellisCode& code, void* scratch) {
  TrellisReader r = *static_cast<const TrellisReader*>(code.reader);
  r.bytes = static_cast<uint8_t*>(scratch);
  __builtin_memset(r.bytes, 0, code.code_size + 80);
  return r;
}

int64_t trellis_decode(const TrellisCode& code, const uint8_t* codes, int64_t n, float* x, void* scratch) {
  if (!scratch) return reader_bytes(code);
  const TrellisReader r = reader_of(code, scratch);
  const int64_t size = code.code_size, blocks = code.coordinates / kTrellisBlock;
  for (int64_t i = 0; i < n; ++i, codes += size, x += code.d) {
    read_code(code, codes, r.bytes);
    if (code.coordinates < code.d) __builtin_memcpy(x, code.fill, code.d * sizeof(float));
    for (int64_t b = 0; b < blocks; ++b) {
      alignas(64) int16_t values[kTrellisBlock];
      block_values(code, r, b * kTrellisBlock, values);
      finish_block(code, b * kTrellisBlock, r.blocks[b].consecutive, values, x);
    }
    for (int64_t j = blocks * kTrellisBlock; j < code.coordinates; ++j) {
      x[code.columns[j]] = static_cast<float>(trellis_value(code, r, j)) * code.scales[j] + code.means[j];
    }
  }
  return reader_bytes(code);
}
