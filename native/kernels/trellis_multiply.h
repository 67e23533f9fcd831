// trellis_multiply: activations of 8 bits times a matrix whose weights stay trellis codes. A piece of the matrix is
// `height` rows by four columns, row by row, so that a 32-bit lane of looked-up levels is four weights of one row: one
// dot product of bytes multiplies it with four activations, which are the same for all lanes. No sum crosses lanes.
//
// Levels of a chunk of pieces go to the L1 cache and are multiplied with six activation rows at a time (with matrix
// registers where there are any); for one row or two at 2 bits a weight they stay in registers (below). Sums are
// integers modulo 2^32.
constexpr int64_t kMatrixChunk = 64;  // pieces whose levels are in the cache: 32 KiB, 64 as halves
constexpr int64_t kMatrixSteps = 4 / kScanPack;
constexpr int64_t kBlockVectors = kTrellisBlock / 4 / kLanes;  // vectors of sums of a block of 64 coordinates
constexpr int64_t kPanelRows = kPanelVectors * kLanes;
constexpr int64_t kMostPanelVectors = kMatrixHeight / kLanes;

// Two bits a weight where whole vectors can be cut: a row of a piece is one byte of its code, and the 8 bits that are
// older than the newest of a coordinate are the newest of the row before. So a vector of rows v is looked up by what
// was cut for it and for rows v - 1, and a cut serves twice: 5 for 4 vectors, from two loads, with no permutation.
// On Intel's, cuts (vpmultishiftqb), look-ups and the product with a matrix of bits share two ports with the dot
// product: 21 operations for 256 weights, of which 9 go to one port.
struct TrellisChain {
  bool used;
  int form;
  alignas(64) uint8_t shifts[3][64];
  uint64_t older;
  alignas(64) uint8_t table[256];
};

struct MatrixPrepared {
  LookUp look_up;
  TrellisChain chain;
  int64_t blocks, panels;  // blocks of 64 coordinates, panels of rows of a piece
  int32_t* ends;
  int32_t* rows;  // (panels * kPanelRows) row of the piece that each lane of sums is of, -1 for none
};

inline int64_t carve_matrix(const TrellisCode& code, void* memory, MatrixPrepared*& made) {
  MatrixPrepared p = {};
  p.blocks = (code.coordinates + kTrellisBlock - 1) / kTrellisBlock;
  p.panels = (p.blocks * kBlockVectors + kPanelVectors - 1) / kPanelVectors;
  Carver carver = {static_cast<char*>(memory)};
  made = carver.take<MatrixPrepared>(1);
  carve_look_up(carver, code, p.blocks, p.look_up);
  p.ends = carver.take<int32_t>(code.coordinates);
  p.rows = carver.take<int32_t>(p.panels * kPanelRows);
  if (memory) *made = p;
  return carver.used;
}

#if defined(CODEWORD_SCAN_BYTES)
// Images of the bits of an index modulo `count` periods that take its lowest bits out; false where they do not.
inline bool rows_above(const uint8_t (&periods)[2], int count, uint8_t (&images)[8]) {
  uint8_t reduced[2] = {periods[0], periods[1]};
  if (count == 2) {
    if (!(reduced[0] & 1)) {
      const uint8_t first = reduced[0];
      reduced[0] = reduced[1];
      reduced[1] = first;
    }
    if (reduced[1] & 1) reduced[1] ^= reduced[0];
    if (reduced[0] & 2) reduced[0] ^= reduced[1];
  }
  for (int k = 0; k < count; ++k) {
    if ((reduced[k] & ((1 << count) - 1)) != 1 << k) return false;
    images[k] = static_cast<uint8_t>(reduced[k] >> count);
  }
  for (int b = count; b < 8; ++b) images[b] = static_cast<uint8_t>(1 << (b - count));
  return true;
}

inline bool chains(const TrellisCode& code) {
  if (code.steps != code.coordinates || code.coordinates % 4 || 8 * code.code_size != 2 * code.coordinates)
    return false;
  for (int64_t t = 0; t < code.steps; ++t) {
    if (code.widths[t] != 2 || code.firsts[t] != t || code.tables[t] != code.tables[0]) return false;
  }
  return code.window <= 14 && code.code_size >= 2;
}

inline void fill_chain(const TrellisCode& code, const TrellisMatrix& matrix, TrellisChain& chain) {
  const uint8_t* values = matrix.values + 256 * (code.coordinates ? code.tables[0] : 0);
  uint8_t images[8];
  chain.form = form_of(values, matrix.periods);
  chain.used = chains(code);
  if (!rows_above(matrix.periods, kForms - 1 - chain.form, images)) {
    chain.form = kForms - 1;
    rows_above(matrix.periods, 0, images);
  }
  const int out = kForms - 1 - chain.form;  // bits that the periods take out
  const TableRows rows = {{images[0], images[1], images[2], images[3], images[4], images[5], images[6], images[7]}};
  for (int i = 0; i < 256; ++i) chain.table[rows.of(static_cast<uint32_t>(i))] = values[i];
  uint8_t older[8];
  for (int i = 0; i < 8; ++i) older[i] = i + out < 8 ? rows.of(code.folds[1 << (i + out)]) : images[i + out - 8];
  chain.older = bit_matrix(older);
  for (int l = 0; l < 64; ++l) {
    for (int s = 0; s < 3; ++s) chain.shifts[s][l] = static_cast<uint8_t>(l / 4 % 2 * 32 + l % 4 * 2 + 2 + 8 * s + out);
  }
}

// Vector v of the eight of a piece: of 64 rows each, the lower and upper half of each group of eight.
inline int64_t chain_row(int64_t v, int64_t lane) { return v / 4 * 64 + lane / 2 * 8 + lane % 2 * 4 + v % 4; }
#endif

#if defined(CODEWORD_SCAN_BYTES)
inline int64_t matrix_row(const MatrixPrepared& p, int64_t vector, int64_t lane) {
  return p.chain.used ? chain_row(vector, lane) : vector * kLanes + trellis_lane(4 * lane) / 4;
}
#else
inline int64_t matrix_row(const MatrixPrepared&, int64_t vector, int64_t lane) { return vector * kLanes + lane; }
#endif

int64_t trellis_multiply_prepare(const TrellisCode& code, TrellisMatrix& matrix, void* storage) {
  MatrixPrepared* made;
  const int64_t bytes = carve_matrix(code, storage, made);
  if (!storage) return bytes;
  MatrixPrepared& p = *made;
  matrix.prepared = made;
  fill_ends(code, p.ends);
  TrellisScan scan = {};
  scan.values = matrix.values;
  scan.periods[0] = matrix.periods[0];
  scan.periods[1] = matrix.periods[1];
  fill_look_up(code, scan, p.ends, p.look_up);
#if defined(CODEWORD_SCAN_BYTES)
  fill_chain(code, matrix, p.chain);
#endif
  for (int64_t v = 0; v < p.panels * kPanelVectors; ++v) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const int64_t row = matrix_row(p, v, l);
      p.rows[v * kLanes + l] = row < code.coordinates / 4 ? static_cast<int32_t>(row) : -1;
    }
  }
  return bytes;
}

#if defined(CODEWORD_SCAN_BYTES)
// Bytes that are fetched ahead into the first and into the second cache: 512 MB of codes came at 11.8 GB/s with both,
// at 8.8 with the first alone.
constexpr int64_t kChainAhead = 1024, kChainFarAhead = 16384;

template <int kForm>
CODEWORD_INLINE Words chain_values(const __m512i (&table)[4], __m512i row) {
  if constexpr (kForm == 0) return {_mm512_permutexvar_epi8(row, table[0])};
  const __m512i low = _mm512_permutex2var_epi8(table[0], row, table[1]);
  if constexpr (kForm == 1) return {low};
  const __m512i high = _mm512_permutex2var_epi8(table[2], row, table[3]);
  return {_mm512_mask_mov_epi8(low, _mm512_movepi8_mask(row), high)};
}

// use(v, levels) for vectors kFirst ... kFirst + 3 of a piece.
template <int kForm, int64_t kFirst, class Use>
CODEWORD_INLINE void chain_half(const TrellisChain& chain, const __m512i (&table)[4], const uint8_t* piece,
                                int64_t size, Use use) {
  const __m512i s0 = _mm512_load_si512(chain.shifts[0]), s1 = _mm512_load_si512(chain.shifts[1]);
  const __m512i s2 = _mm512_load_si512(chain.shifts[2]);
  const __m512i older = _mm512_set1_epi64(static_cast<int64_t>(chain.older));
  const uint8_t* at = piece + 16 * kFirst;
  __m512i before = _mm512_loadu_si512(at - 2);
  const __m512i bytes = _mm512_loadu_si512(at);
  if (kFirst == 0) before = _mm512_mask_loadu_epi8(before, 3, piece + size - 2);
  _mm_prefetch(reinterpret_cast<const char*>(at + kChainAhead), _MM_HINT_T0);
  prefetch(at + kChainFarAhead);
  __m512i cuts[5] = {_mm512_multishift_epi64_epi8(s0, before), _mm512_multishift_epi64_epi8(s1, before),
                     _mm512_multishift_epi64_epi8(s0, bytes), _mm512_multishift_epi64_epi8(s1, bytes),
                     _mm512_multishift_epi64_epi8(s2, bytes)};
  CODEWORD_UNROLL
  for (int64_t v = 0; v < 4; ++v) {
    const __m512i row = _mm512_xor_si512(cuts[v + 1], _mm512_gf2p8affine_epi64_epi8(cuts[v], older, 0));
    use(kFirst + v, chain_values<kForm>(table, row));
  }
}

template <int kForm, bool kTwoHalves, class Use>
CODEWORD_INLINE void chain_piece(const TrellisChain& chain, const __m512i (&table)[4], const uint8_t* piece,
                                 int64_t size, Use use) {
  chain_half<kForm, 0>(chain, table, piece, size, use);
  if constexpr (kTwoHalves) chain_half<kForm, 4>(chain, table, piece, size, use);
}

template <int kForm>
CODEWORD_INLINE void load_chain_table(const TrellisChain& chain, __m512i (&table)[4]) {
  for (int64_t i = 0; i < rows_of_form(kForm) / 64; ++i) table[i] = _mm512_load_si512(chain.table + 64 * i);
}

// Sums (kQueries, panels * kPanelRows) of all blocks, levels in registers.
template <int kForm, bool kTwoHalves, int64_t kQueries>
inline void chain_multiply(const TrellisCode& code, const TrellisChain& chain, const MatrixTask& task, int32_t* sums) {
  constexpr int64_t kVectors = kTwoHalves ? 8 : 4;
  __m512i table[4];
  load_chain_table<kForm>(chain, table);
  I32 acc[kQueries][kVectors];
  CODEWORD_UNROLL
  for (int64_t i = 0; i < kQueries * kVectors; ++i) acc[i / kVectors][i % kVectors] = splat(0);
  const uint8_t* piece = task.codes;
  for (int64_t b = 0; b < task.blocks; ++b, piece += code.code_size) {
    I32 x[kQueries];
    CODEWORD_UNROLL
    for (int64_t l = 0; l < kQueries; ++l) {
      x[l] = splat(static_cast<int32_t>(load_u32(reinterpret_cast<const uint8_t*>(task.x + l * task.stride + 4 * b))));
    }
    chain_piece<kForm, kTwoHalves>(chain, table, piece, code.code_size, [&](int64_t v, Words levels) {
      CODEWORD_UNROLL
      for (int64_t l = 0; l < kQueries; ++l) acc[l][v] = dot_u8s8(acc[l][v], to_lanes(levels), x[l]);
    });
  }
  for (int64_t l = 0; l < kQueries; ++l) {
    for (int64_t v = 0; v < kVectors; ++v) store(sums + (l * kVectors + v) * kLanes, acc[l][v]);
  }
}

template <int kForm, bool kTwoHalves>
inline void chain_levels(const TrellisCode& code, const TrellisChain& chain, const uint8_t* codes, int64_t blocks,
                         int32_t* levels) {
  __m512i table[4];
  load_chain_table<kForm>(chain, table);
  for (int64_t b = 0; b < blocks; ++b) {
    int32_t* to = levels + b * kPanelRows;
    chain_piece<kForm, kTwoHalves>(
        chain, table, codes + b * code.code_size, code.code_size,
        [&](int64_t v, Words made) { store_words(to + (v / 4 * kMatrixChunk * 4 + v % 4) * kLanes, made); });
  }
}

// f(Form, TwoHalves) with what they are as constants.
template <class F>
CODEWORD_INLINE void for_chain(const MatrixPrepared& p, F f) {
  const int which = p.chain.form * 2 + (p.panels > 1);
  if (which == 0) return f(Plane<0>(), Plane<0>());
  if (which == 1) return f(Plane<0>(), Plane<1>());
  if (which == 2) return f(Plane<1>(), Plane<0>());
  if (which == 3) return f(Plane<1>(), Plane<1>());
  if (which == 4) return f(Plane<2>(), Plane<0>());
  f(Plane<2>(), Plane<1>());
}
#endif

// Levels of a chunk of pieces, panel by panel: (panels, kMatrixChunk, kMatrixSteps, kPanelVectors) vectors.
template <int64_t kCount>
CODEWORD_INLINE void matrix_levels(const TrellisCode& code, const MatrixPrepared& p, const uint8_t* codes, int64_t b,
                                   int32_t* levels) {
  for (int64_t s = 0; s < p.blocks; ++s) {
    Words made[kCount][kScanVectors];
    look_up_block(code, p.look_up, s, codes, made);
    CODEWORD_UNROLL
    for (int64_t r = 0; r < kCount; ++r) {
      CODEWORD_UNROLL
      for (int64_t i = 0; i < kScanVectors; ++i) {
        const int64_t v = s * kBlockVectors + i / kMatrixSteps, step = i % kMatrixSteps;
        const int64_t group = (v / kPanelVectors * kMatrixChunk + b + r) * kMatrixSteps + step;
        store_words(levels + (group * kPanelVectors + v % kPanelVectors) * kLanes, made[r][i]);
      }
    }
  }
}

inline void fill_levels(const TrellisCode& code, const MatrixPrepared& p, const uint8_t* codes, int64_t blocks,
                        int32_t* levels) {
#if defined(CODEWORD_SCAN_BYTES)
  if (p.chain.used) {
    return for_chain(p, [&](auto form, auto halves) {
      chain_levels<decltype(form)::value, decltype(halves)::value>(code, p.chain, codes, blocks, levels);
    });
  }
#endif
  int64_t b = 0;
  for (; b + kScanRows <= blocks; b += kScanRows, codes += kScanRows * code.code_size) {
    fetch_ahead(codes, kScanRows * code.code_size);
    matrix_levels<kScanRows>(code, p, codes, b, levels);
  }
  for (; b < blocks; ++b, codes += code.code_size) matrix_levels<1>(code, p, codes, b, levels);
}

struct MatrixMultiply {
  using Word = int32_t;
  using Vector = I32;
  static CODEWORD_INLINE I32 run(I32 sum, I32 x, I32 levels) {
    return to_lanes(dot_lanes(to_words(sum), to_words(levels), to_words(x)));
  }
};

// sums (kRows, kPanelRows), from one row to the next `step` apart, += x times a panel of levels.
template <int64_t kRows>
inline void multiply_rows(const int32_t* panel, const void* x, int64_t row_bytes, int64_t groups, int32_t* sums,
                          int64_t step) {
  I32 acc[kRows][kPanelVectors];
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kRows; ++r) {
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kPanelVectors; ++v) acc[r][v] = load(sums + r * step + v * kLanes);
  }
  multiply_tile<MatrixMultiply>(panel, x, row_bytes, groups, acc);
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kRows; ++r) {
    CODEWORD_UNROLL
    for (int64_t v = 0; v < kPanelVectors; ++v) store(sums + r * step + v * kLanes, acc[r][v]);
  }
}

// Activations of a chunk as the dot product wants them: bytes stay where they are; halves are copied, of each four
// the first and third, then the others, as levels are.
#if defined(CODEWORD_SCAN_BYTES)
using MatrixValue = int8_t;
CODEWORD_INLINE const int8_t* matrix_values(const MatrixTask& task, int64_t b, int64_t, MatrixValue*, int64_t& bytes) {
  bytes = task.stride;
  return task.x + 4 * b;
}
#else
using MatrixValue = int16_t;
inline const int16_t* matrix_values(const MatrixTask& task, int64_t b, int64_t count, MatrixValue* work,
                                    int64_t& bytes) {
  bytes = 4 * kMatrixChunk * int64_t(sizeof(MatrixValue));
  for (int64_t l = 0; l < task.queries; ++l) {
    const int8_t* x = task.x + l * task.stride + 4 * b;
    int16_t* out = work + l * 4 * kMatrixChunk;
    for (int64_t i = 0; i < 4 * count; i += 4) {
      out[i] = x[i];
      out[i + 1] = x[i + 2];
      out[i + 2] = x[i + 1];
      out[i + 3] = x[i + 3];
    }
  }
  return work;
}
#endif

inline void multiply_panel_rows(const MatrixTask& task, const int32_t* panel, const MatrixValue* x, int64_t row_bytes,
                                int64_t groups, int32_t* sums, int64_t step) {
  int64_t l = 0;
  const auto at = [&] { return reinterpret_cast<const char*>(x) + l * row_bytes; };
  for (; l + 6 <= task.queries; l += 6) multiply_rows<6>(panel, at(), row_bytes, groups, sums + l * step, step);
  for (; l + 3 <= task.queries; l += 3) multiply_rows<3>(panel, at(), row_bytes, groups, sums + l * step, step);
  for (; l < task.queries; ++l) multiply_rows<1>(panel, at(), row_bytes, groups, sums + l * step, step);
}

#if CODEWORD_AMX
constexpr int64_t kFewestTileRows = 4;

// sums (16, kPanelRows), or 32 rows, += x times a panel of levels.
template <bool kTwo>
inline void multiply_matrix_tiles(const int32_t* panel, const int8_t* x, int64_t stride, int64_t groups, int32_t* sums,
                                  int64_t step) {
  static_assert(kPanelVectors % 2 == 0);
  constexpr int64_t kBytes = 4 * kPanelRows;
  const int64_t row = step * int64_t(sizeof(int32_t));
  for (int64_t v = 0; v < kPanelVectors; v += 2) {
    int32_t *upper = sums + v * kLanes, *lower = upper + 16 * step;
    _tile_loadd(0, upper, row);
    _tile_loadd(1, upper + kLanes, row);
    if (kTwo) _tile_loadd(2, lower, row);
    if (kTwo) _tile_loadd(3, lower + kLanes, row);
    for (int64_t g = 0; g < groups; g += kTileGroups) {
      const int32_t* levels = panel + g * kPanelRows + v * kLanes;
      _tile_loadd(4, x + 4 * g, stride);
      _tile_loadd(6, levels, kBytes);
      _tile_dpbsud(0, 4, 6);
      _tile_loadd(7, levels + kLanes, kBytes);
      _tile_dpbsud(1, 4, 7);
      if (kTwo) _tile_loadd(5, x + 16 * stride + 4 * g, stride);
      if (kTwo) _tile_dpbsud(2, 5, 6);
      if (kTwo) _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, upper, row);
    _tile_stored(1, upper + kLanes, row);
    if (kTwo) _tile_stored(2, lower, row);
    if (kTwo) _tile_stored(3, lower + kLanes, row);
  }
}

inline void multiply_panel_tiles(const MatrixTask& task, const int32_t* panel, const int8_t* x, int64_t groups,
                                 int32_t* sums, int64_t step) {
  int64_t l = 0;
  for (; l + 16 < task.queries; l += 32) {
    multiply_matrix_tiles<true>(panel, x + l * task.stride, task.stride, groups, sums + l * step, step);
  }
  if (l < task.queries) {
    multiply_matrix_tiles<false>(panel, x + l * task.stride, task.stride, groups, sums + l * step, step);
  }
}
#endif

// Adds the sums of all lanes to those of their rows.
inline void add_rows(const MatrixPrepared& p, const MatrixTask& task, const int32_t* sums) {
  const int64_t lanes = p.panels * kPanelRows;
  for (int64_t l = 0; l < task.queries; ++l) {
    for (int64_t i = 0; i < lanes; ++i) {
      if (p.rows[i] < 0) continue;
      int32_t& to = task.sums[l * task.step + p.rows[i]];
      to = static_cast<int32_t>(static_cast<uint32_t>(to) + static_cast<uint32_t>(sums[l * lanes + i]));
    }
  }
}

// Sums (queries, panels * kPanelRows) of all blocks, chunk by chunk.
inline void multiply_chunks(const TrellisCode& code, const MatrixPrepared& p, const MatrixTask& task, int32_t* levels,
                            int32_t* sums, MatrixValue* work) {
  const int64_t lanes = p.panels * kPanelRows;
  __builtin_memset(sums, 0, round_up(task.queries, 32) * lanes * sizeof(int32_t));
#if CODEWORD_AMX
  const HeldTiles held;
#endif
  for (int64_t b = 0; b < task.blocks; b += kMatrixChunk) {
    const int64_t count = min_of(kMatrixChunk, task.blocks - b), groups = count * kMatrixSteps;
    fill_levels(code, p, task.codes + b * code.code_size, count, levels);
    int64_t row_bytes;
    const MatrixValue* x = matrix_values(task, b, count, work, row_bytes);
    for (int64_t i = 0; i < p.panels; ++i) {
      const int32_t* panel = levels + i * kMatrixChunk * kMatrixSteps * kPanelRows;
#if CODEWORD_AMX
      const int64_t whole = round_up(groups, kTileGroups);
      __builtin_memset(levels + (i * kMatrixChunk + groups) * kPanelRows, 0,
                       (whole - groups) * kPanelRows * sizeof(int32_t));
      settle_memory();
      if (task.queries >= kFewestTileRows) {
        multiply_panel_tiles(task, panel, x, groups, sums + i * kPanelRows, lanes);
        continue;
      }
#endif
      multiply_panel_rows(task, panel, x, row_bytes, groups, sums + i * kPanelRows, lanes);
    }
  }
#if CODEWORD_AMX
  settle_memory();
#endif
}

int64_t trellis_multiply(const TrellisCode& code, const TrellisMatrix& matrix, const MatrixTask& task, void* scratch) {
  constexpr int64_t kMostLanes = (kMatrixHeight + kPanelRows - 1) / kPanelRows * kPanelRows;
  Carver carver = {static_cast<char*>(scratch)};
  int32_t* levels = carver.take<int32_t>(kMatrixChunk * kMatrixSteps * kMostLanes);
  int32_t* sums = carver.take<int32_t>(kMatrixQueries * kMostLanes);
  MatrixValue* work = carver.take<MatrixValue>(kMatrixSteps == 1 ? 0 : kMatrixQueries * 4 * kMatrixChunk);
  if (!scratch) return carver.used;
  const MatrixPrepared& p = *static_cast<const MatrixPrepared*>(matrix.prepared);
#if defined(CODEWORD_SCAN_BYTES)
  if (p.chain.used && task.queries <= 2) {
    for_chain(p, [&](auto form, auto halves) {
      constexpr int kForm = decltype(form)::value;
      constexpr bool kTwo = decltype(halves)::value;
      if (task.queries == 1) return chain_multiply<kForm, kTwo, 1>(code, p.chain, task, sums);
      chain_multiply<kForm, kTwo, 2>(code, p.chain, task, sums);
    });
    add_rows(p, task, sums);
    return carver.used;
  }
#endif
  multiply_chunks(code, p, task, levels, sums, work);
  add_rows(p, task, sums);
  return carver.used;
}
