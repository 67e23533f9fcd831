// Blocks of 64 coordinates of a trellis code as table values of 8 bits, for the scan.
//
// An index is linear in the bits of its window. Where a table does not change when an exclusive or, a *period*, is
// applied to its indices, they are reduced modulo the period by the same linear map, and half of its rows are enough:
// 128 with one period, 64 with two, which one permutation of bytes looks up, or four shuffles of 16.

// What each bit of an index adds (exclusive or) to the row of a table.
struct TableRows {
  uint8_t images[8];

  uint8_t of(uint32_t index) const {
    uint32_t row = 0;
    for (int b = 0; b < 8; ++b) row ^= index >> b & 1 ? images[b] : 0;
    return static_cast<uint8_t>(row);
  }
};

constexpr uint32_t highest_bit(uint32_t value) {
  uint32_t bit = 1;
  while (bit << 1 <= value) bit <<= 1;
  return bit;
}

// Rows modulo the first `count` of two independent periods: each takes its highest bit out.
inline TableRows rows_modulo(const uint8_t (&given)[2], int count) {
  uint32_t periods[2] = {given[0], given[1]}, tops[2] = {};
  for (int k = 0; k < count; ++k) {
    tops[k] = highest_bit(periods[k]);
    if (k && periods[1] & tops[0]) periods[1] ^= periods[0], tops[1] = highest_bit(periods[1]);
    if (k && periods[0] & tops[1]) periods[0] ^= periods[1];
  }
  TableRows rows = {};
  for (int b = 0; b < 8; ++b) {
    uint32_t reduced = 1u << b;
    for (int k = 0; k < count; ++k) reduced ^= reduced & tops[k] ? periods[k] : 0;
    for (int c = 0, bit = 0; c < 8; ++c) {
      if ((tops[0] | tops[1]) >> c & 1) continue;
      rows.images[b] = static_cast<uint8_t>(rows.images[b] | (reduced >> c & 1) << bit++);
    }
  }
  return rows;
}

// Forms of a table: 64, 128 and 256 rows. Each table is kept in all of them, as tables of one block share a form.
constexpr int kForms = 3;
constexpr int64_t rows_of_form(int form) { return 64 << form; }
constexpr int64_t kRowsOfForms = 64 + 128 + 256;

inline int64_t scan_tables(const TrellisCode& code) {
  int64_t tables = 0;
  for (int64_t j = 0; j < code.coordinates; ++j) tables = max_of(tables, int64_t(code.tables[j]) + 1);
  return tables;
}

// The form that 256 values of a table want.
inline int form_of(const uint8_t* values, const uint8_t (&periods)[2]) {
  for (int k = 0; k < 2; ++k) {
    for (int i = 0; i < 256; ++i) {
      if (!periods[k] || values[i] != values[i ^ periods[k]]) return kForms - 1 - k;
    }
  }
  return 0;
}

// What both ways of looking up need.
struct LookUpTables {
  uint8_t* tables;  // of all forms, one form after the other
  uint8_t* forms;   // (blocks) the largest of their tables
  int64_t count;

  template <int kForm>
  CODEWORD_INLINE const uint8_t* table(int64_t t) const {
    return tables + (rows_of_form(kForm) - 64) * count + t * rows_of_form(kForm);
  }
};

inline void carve_tables(Carver& carver, const TrellisCode& code, int64_t blocks, LookUpTables& look_up) {
  look_up.count = scan_tables(code);
  look_up.tables = carver.take<uint8_t>(look_up.count * kRowsOfForms);
  look_up.forms = carver.take<uint8_t>(blocks);
}

inline void fill_tables(const TrellisCode& code, const TrellisScan& scan, const TableRows (&rows)[kForms],
                        LookUpTables& look_up) {
  for (int form = 0; form < kForms; ++form) {
    if (form + 1 < kForms && !scan.periods[kForms - 2 - form]) continue;
    uint8_t* tables = look_up.tables + (rows_of_form(form) - 64) * look_up.count;
    for (int64_t i = 0; i < look_up.count * 256; ++i) {
      tables[i / 256 * rows_of_form(form) + rows[form].of(static_cast<uint32_t>(i % 256))] = scan.values[i];
    }
  }
  for (int64_t j = 0; j < code.coordinates; ++j) {
    uint8_t& form = look_up.forms[j / kTrellisBlock];
    if (j % kTrellisBlock == 0) form = 0;
    if (j && code.tables[j] == code.tables[j - 1] && j % kTrellisBlock) continue;
    const int wanted = form_of(scan.values + int64_t(code.tables[j]) * 256, scan.periods);
    form = static_cast<uint8_t>(wanted > form ? wanted : form);
  }
}

#if defined(__AVX512VBMI__) && defined(__GFNI__) && defined(CODEWORD_VNNI)
#define CODEWORD_SCAN_BYTES 1

// One permutation brings each group of eight lanes its bytes, two multishifts cut the windows out, two products with
// matrices of bits make rows of them. All permutations of bytes go to one port on Intel's: four a block of 64 rows, 24
// cycles for 384 coordinates.
struct LookUp : LookUpTables {
  alignas(64) uint64_t newest[kForms][8], older[kForms][8];  // matrices, repeated
  uint64_t tail;  // lanes that the last two bytes of a code go to, in blocks that begin before its first
  TrellisBlock* blocks;
};

inline void carve_look_up(Carver& carver, const TrellisCode& code, int64_t blocks, LookUp& look_up) {
  carve_tables(carver, code, blocks, look_up);
  look_up.blocks = carver.take<TrellisBlock>(blocks);
}

inline void fill_windows(const TrellisCode& code, const int32_t* ends, const TableRows (&rows)[kForms],
                         LookUp& look_up) {
  for (int form = 0; form < kForms; ++form) {
    uint8_t older[8];
    for (int b = 0; b < 8; ++b) older[b] = rows[form].of(code.folds[1 << b]);
    for (int i = 0; i < 8; ++i) {
      look_up.newest[form][i] = bit_matrix(rows[form].images);
      look_up.older[form][i] = bit_matrix(older);
    }
  }
  look_up.tail = uint64_t(code.code_size > 1 ? 3 : 2) << 62;
  for (int64_t first = 0; first < code.coordinates; first += kTrellisBlock) {
    TrellisBlock& block = look_up.blocks[first / kTrellisBlock];
    fill_block(code, ends, first, block);
    block.base -= 2;  // counted from the first byte of the row: -2 and -1 are lanes 62 and 63
    if (block.base >= 0) continue;
    for (int64_t l = 0; l < kTrellisBlock; ++l) {
      block.bytes[l] = static_cast<uint8_t>((block.bytes[l] + block.base) & 63);
      if (code.code_size == 1 && block.bytes[l] == 62) block.bytes[l] = 63;
    }
  }
}

template <int kForm>
CODEWORD_INLINE __m512i table_values(const uint8_t* table, __m512i row) {
  const __m512i first = _mm512_load_si512(table);
  if constexpr (kForm == 0) return _mm512_permutexvar_epi8(row, first);
  if constexpr (kForm == 1) return _mm512_permutex2var_epi8(first, row, _mm512_load_si512(table + 64));
  return table_bytes(table, row, _mm512_movepi8_mask(row));
}

// The windows of a block of kCount rows as rows of the tables.
template <int kForm, bool kSpread, int64_t kCount>
CODEWORD_INLINE void table_rows(const LookUp& look_up, const TrellisBlock& block, const __m512i (&bytes)[kCount],
                                __m512i (&rows)[kCount]) {
  const __m512i order = _mm512_load_si512(block.bytes), shifts = _mm512_load_si512(block.shifts);
  const __m512i of_older = _mm512_load_si512(look_up.older[kForm]);
  const __m512i of_newest = _mm512_load_si512(look_up.newest[kForm]);
  const __m512i eight = _mm512_set1_epi8(8), one = _mm512_set1_epi8(1);
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kCount; ++r) {
    const __m512i groups = _mm512_permutexvar_epi8(order, bytes[r]);
    const __m512i older = _mm512_multishift_epi64_epi8(shifts, groups);
    rows[r] = _mm512_gf2p8affine_epi64_epi8(older, of_older, 0);
    __m512i newest;
    if constexpr (kSpread) {  // the byte after, by the same shifts
      const __m512i next = _mm512_permutexvar_epi8(_mm512_add_epi8(order, one), bytes[r]);
      newest = _mm512_multishift_epi64_epi8(shifts, next);
    } else {
      newest = _mm512_multishift_epi64_epi8(_mm512_add_epi8(shifts, eight), groups);
    }
    if constexpr (kForm + 1 < kForms) newest = _mm512_gf2p8affine_epi64_epi8(newest, of_newest, 0);
    rows[r] = _mm512_xor_si512(rows[r], newest);
  }
}

// Values of a block of kCount codes; lane l is coordinate trellis_lane(l).
template <int kForm, int64_t kCount>
CODEWORD_INLINE void look_up_form(const TrellisCode& code, const LookUp& look_up, int64_t b, const uint8_t* codes,
                                  Words (&values)[kCount][1]) {
  const TrellisBlock& block = look_up.blocks[b];
  const int64_t size = code.code_size;
  __m512i bytes[kCount], rows[kCount];
  if (block.base < 0) {
    CODEWORD_UNROLL
    for (int64_t r = 0; r < kCount; ++r) {
      const uint8_t* end = codes + (r + 1) * size;
      bytes[r] = _mm512_mask_loadu_epi8(_mm512_loadu_si512(end - size), look_up.tail, end - 64);
    }
  } else {
    CODEWORD_UNROLL
    for (int64_t r = 0; r < kCount; ++r) bytes[r] = _mm512_loadu_si512(codes + r * size + block.base);
  }
  if (block.spread) {
    table_rows<kForm, true>(look_up, block, bytes, rows);
  } else {
    table_rows<kForm, false>(look_up, block, bytes, rows);
  }
  CODEWORD_UNROLL
  for (int64_t r = 0; r < kCount; ++r)
    values[r][0] = {table_values<kForm>(look_up.table<kForm>(block.tables[0]), rows[r])};
  for (int t = 1; t < block.used; ++t) {
    const uint8_t* table = look_up.table<kForm>(block.tables[t]);
    CODEWORD_UNROLL
    for (int64_t r = 0; r < kCount; ++r) {
      values[r][0].v = _mm512_mask_mov_epi8(values[r][0].v, block.lanes[t], table_values<kForm>(table, rows[r]));
    }
  }
}

#else

// Sixteen coordinates end within 15 bytes of where the window of the first begins, at any widths: a load brings them
// in, shuffles give each its two bytes, and a product shifts the byte that is wanted to the upper half of 16 bits. Rows
// of a table are looked up 16 at a time.
constexpr int64_t kByteVectors = kTrellisBlock / kByteLanes, kLoads = kByteLanes / 16;

struct LookUpVector {
  // Bytes of the older and of the newest window, of even and of odd coordinates; which of its tables a lane wants.
  alignas(64) uint8_t older[2][kByteLanes], newest[2][kByteLanes], tables[kByteLanes];
  alignas(64) uint16_t factors[2][kByteLanes / 2];
  int32_t at[kLoads];  // byte that sixteen lanes are loaded from; -1: the first, with the last two of the code in front
  int32_t used;
  uint8_t used_tables[kByteLanes];
};

struct LookUp : LookUpTables {
  alignas(64) uint8_t newest[kForms][2][16], older[kForms][2][16];  // rows by nibbles: lower and upper
  LookUpVector* vectors;
};

inline void carve_look_up(Carver& carver, const TrellisCode& code, int64_t blocks, LookUp& look_up) {
  carve_tables(carver, code, blocks, look_up);
  look_up.vectors = carver.take<LookUpVector>(blocks * kByteVectors);
}

inline void fill_lane(const TrellisCode& code, const int32_t* ends, int64_t j, int64_t l, LookUpVector& v) {
  const int32_t bit = ends[j] - 16, byte = bit >> 3;  // of the row, -2 and -1 for its last two
  const int64_t odd = l % 2, half = l / 2;
  if (l % 16 == 0) v.at[l / 16] = byte < 0 ? -1 : byte;
  const int32_t from = byte - (v.at[l / 16] < 0 ? 0 : v.at[l / 16]);
  for (int i = 0; i < 2; ++i) {
    v.older[odd][2 * half + i] = static_cast<uint8_t>((from + i) & 15);
    v.newest[odd][2 * half + i] = static_cast<uint8_t>((from + i + 1) & 15);
  }
  v.factors[odd][half] = static_cast<uint16_t>(256 >> (bit & 7));
  int32_t t = 0;
  while (t < v.used && v.used_tables[t] != code.tables[j]) ++t;
  v.tables[l] = static_cast<uint8_t>(t);
  if (t == v.used) v.used_tables[v.used++] = code.tables[j];
}

inline void fill_windows(const TrellisCode& code, const int32_t* ends, const TableRows (&rows)[kForms],
                         LookUp& look_up) {
  for (int form = 0; form < kForms; ++form) {
    for (uint32_t i = 0; i < 32; ++i) {
      const uint32_t half = i / 16, nibble = i % 16 << 4 * half;
      look_up.newest[form][half][i % 16] = rows[form].of(nibble);
      look_up.older[form][half][i % 16] = rows[form].of(code.folds[nibble]);
    }
  }
  for (int64_t j = 0; j < round_up(code.coordinates, kTrellisBlock); ++j) {  // the last block ends with copies
    LookUpVector& v = look_up.vectors[j / kByteLanes];
    if (j % kByteLanes == 0) v.used = 0;
    fill_lane(code, ends, min_of(j, code.coordinates - 1), j % kByteLanes, v);
  }
}

CODEWORD_INLINE Bytes load_groups(const TrellisCode& code, const LookUpVector& v, const uint8_t* row) {
  decltype(load_16(row)) groups[kLoads];
  for (int64_t g = 0; g < kLoads; ++g) {
    groups[g] = load_16(row + max_of(int64_t(v.at[g]), int64_t(0)));
    if (v.at[g] < 0) {
      const int64_t size = code.code_size;
      groups[g] = with_last_half(groups[g], static_cast<uint16_t>(row[size - 1] << 8 | row[size > 1 ? size - 2 : 0]));
    }
  }
  return join_groups(groups);
}

// The windows of all lanes, of those of even and odd coordinates.
CODEWORD_INLINE Bytes cut_windows(Bytes groups, const uint8_t (&order)[2][kByteLanes], const LookUpVector& v) {
  const Words upper = splat_halves(static_cast<int16_t>(0xff00));
  const Words even = mul_halves(to_words(shuffle_16(groups, load_bytes(order[0]))), load_words(v.factors[0]));
  const Words odd = mul_halves(to_words(shuffle_16(groups, load_bytes(order[1]))), load_words(v.factors[1]));
  return either(to_bytes(high_bytes(even)), both(to_bytes(odd), to_bytes(upper)));
}

CODEWORD_INLINE Bytes rows_of(Bytes windows, const uint8_t (&rows)[2][16]) {
  const Words nibble = splat_halves(0x0f0f);
  const Bytes low = to_bytes(field<0>(to_words(windows), nibble)), high = to_bytes(field<4>(to_words(windows), nibble));
  return unequal(shuffle_16(repeat_16(rows[0]), low), shuffle_16(repeat_16(rows[1]), high));
}

template <int kForm>
CODEWORD_INLINE Bytes table_values(const uint8_t* table, Bytes row) {
  constexpr int64_t kRows = rows_of_form(kForm);
#if defined(__aarch64__) || defined(_M_ARM64)
  Bytes out = {vqtbl4q_u8(vld1q_u8_x4(table), row.v)};
  for (int64_t first = 64; first < kRows; first += 64) {
    out.v = vqtbx4q_u8(out.v, vld1q_u8_x4(table + first), vsubq_u8(row.v, vdupq_n_u8(static_cast<uint8_t>(first))));
  }
  return out;
#else
  // A shuffle gives 0 where the highest bit is set, which this sum leaves clear for the sixteen rows it is for.
  Bytes out = splat_bytes(0);
  CODEWORD_UNROLL
  for (int64_t first = 0; first < kRows; first += 16) {
    const Bytes own = add_saturated(unequal(row, splat_bytes(static_cast<uint8_t>(first))), splat_bytes(0x70));
    out = either(out, shuffle_16(repeat_16(table + first), own));
  }
  return out;
#endif
}

// Two vectors of 16-bit values for each of bytes: even coordinates, then odd ones.
template <int kForm, int64_t kCount>
inline void look_up_form(const TrellisCode& code, const LookUp& look_up, int64_t b, const uint8_t* codes,
                         Words (&out)[kCount][2 * kByteVectors]) {
  static_assert(kCount == 1);
  for (int64_t i = 0; i < kByteVectors; ++i) {
    const LookUpVector& v = look_up.vectors[b * kByteVectors + i];
    const Bytes groups = load_groups(code, v, codes);
    Bytes newest = cut_windows(groups, v.newest, v);
    if constexpr (kForm + 1 < kForms) newest = rows_of(newest, look_up.newest[kForm]);
    const Bytes rows = unequal(newest, rows_of(cut_windows(groups, v.older, v), look_up.older[kForm]));
    Bytes values = table_values<kForm>(look_up.table<kForm>(v.used_tables[0]), rows);
    for (int32_t t = 1; t < v.used; ++t) {
      const Bytes mine = equal(load_bytes(v.tables), splat_bytes(static_cast<uint8_t>(t)));
      values = choose(mine, table_values<kForm>(look_up.table<kForm>(v.used_tables[t]), rows), values);
    }
    out[0][2 * i] = field<0>(to_words(values), splat_halves(0xff));
    out[0][2 * i + 1] = high_bytes(to_words(values));
  }
}
#endif

inline void fill_look_up(const TrellisCode& code, const TrellisScan& scan, const int32_t* ends, LookUp& look_up) {
  const TableRows rows[kForms] = {rows_modulo(scan.periods, 2), rows_modulo(scan.periods, 1),
                                  rows_modulo(scan.periods, 0)};
  fill_tables(code, scan, rows, look_up);
  fill_windows(code, ends, rows, look_up);
}

// Values of block b of kCount codes, kScanVectors vectors each.
template <int64_t kCount, int64_t kVectors>
CODEWORD_INLINE void look_up_block(const TrellisCode& code, const LookUp& look_up, int64_t b, const uint8_t* codes,
                                   Words (&values)[kCount][kVectors]) {
  const int form = look_up.forms[b];
  if (form == 0) return look_up_form<0>(code, look_up, b, codes, values);
  if (form == 1) return look_up_form<1>(code, look_up, b, codes, values);
  look_up_form<2>(code, look_up, b, codes, values);
}
