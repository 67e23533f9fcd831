// Sign codes: a bit for each coordinate, set where it is at least 0, and the integer sums of a query's int8 weights
// over the set bits. The absolute weights of the eight coordinates of a byte sum to at most 127 (native/core/signs.h).

// codes[i * stride + j / 8] bit j % 8: x[j] >= 0. sums (n, 2) = <x, x> and sum |x|, float64 in lane order.
void sign_codes(const float* x, int64_t n, int64_t d, uint8_t* codes, int64_t stride, double* sums) {
  constexpr int64_t kBlock = 64;
  const F32 zero = splat(0.0f);
  for (int64_t i = 0; i < n; ++i, x += d, codes += stride, sums += 2) {
    F64x8 squares = zero_f64x8(), lengths = zero_f64x8();
    for (int64_t at = 0; at < d; at += kBlock) {
      float values[kBlock] = {}, sizes[kBlock];
      const int64_t count = min_of(kBlock, d - at);
      __builtin_memcpy(values, x + at, count * sizeof(float));
      uint64_t bits = 0;
      for (int64_t j = 0; j < kBlock; j += kLanes) {
        const F32 v = load(values + j);
        bits |= uint64_t(le_bits(zero, v)) << j;
        store(sizes + j, abs(v));
      }
      for (int64_t j = 0; j < count; j += 8) {
        const F64x8 size = load_f64x8(sizes + j);
        squares = muladd(size, size, squares);
        lengths = add(lengths, size);
      }
      if (count < kBlock) bits &= (uint64_t(1) << count) - 1;
      __builtin_memcpy(codes + at / 8, &bits, (count + 7) / 8);
    }
    sums[0] = lane_order_sum(squares);
    sums[1] = lane_order_sum(lengths);
  }
}

// For 64 queries at once. An entry is 128 + the sum of the weights that the bits of one byte value select, a byte; the
// 64 entries of a value fill a cache line: byte 4 k of it belongs to query k, 4 k + 1 to 32 + k, 4 k + 2 to 16 + k, 4 k
// + 3 to 48 + k, so that sums of halves split into runs of 16 queries. `whole` sums halves, low + 256 high, modulo
// 2^16; `high` sums their upper bytes: 255 * 256 < 2^16.
constexpr int64_t kSignChunk = 256;

CODEWORD_INLINE Words low_halves(Words a) { return high_to_low(low_to_high(a)); }

CODEWORD_INLINE void add_counts(int32_t* sums, Words counts, Words bias, bool go_on) {
  counts = add(counts, bias);
  store_words(sums, go_on ? add(load_words(sums), counts) : counts);
}

// sums (2, n, 32) of queries 0 to 31 and 32 to 63; tables (count, 256, 64); added to what is there where `go_on`.
void scan_signs(const uint8_t* codes, int64_t n, int64_t stride, const uint8_t* tables, int64_t count, bool go_on,
                int32_t* sums) {
  constexpr int64_t kLine = 64, kParts = 16 / kLanes;
  const Words byte = splat_halves(256);
  for (int64_t i = 0; i < n; ++i, codes += stride) {
    for (int64_t start = 0; start < count; start += kSignChunk) {
      const int64_t stop = min_of(count, start + kSignChunk);
      Words whole[kParts], high[kParts];
      for (int64_t w = 0; w < kParts; ++w) whole[w] = high[w] = zero_words();
      for (int64_t t = start; t < stop; ++t) {
        const uint8_t* line = tables + (t * 256 + codes[t]) * kLine;
        for (int64_t w = 0; w < kParts; ++w) {
          const Words entries = load_words(line + kWordBytes * w);
          whole[w] = add_halves(whole[w], entries);
          high[w] = add(high[w], high_bytes(entries));
        }
      }
      const bool more = go_on || start > 0;
      const Words bias = to_words(splat(static_cast<int32_t>(128 * (start - stop))));
      for (int64_t w = 0; w < kParts; ++w) {
        const Words low = sub_halves(whole[w], mul_halves(high[w], byte));
        int32_t *first = sums + i * 32 + w * kLanes, *second = first + n * 32;
        add_counts(first, low_halves(low), bias, more);
        add_counts(first + 16, high_to_low(low), bias, more);
        add_counts(second, low_halves(high[w]), bias, more);
        add_counts(second + 16, high_to_low(high[w]), bias, more);
      }
    }
  }
}

// For one query: sums (n). `weights` are those of 8 * count coordinates and zeros up to a multiple of 64, `table`
// (count, 256) their sums over the bits of each byte value; a vector unit with dot products of bytes takes the first.
#if CODEWORD_VNNI
// The last `count` < 8 bytes of a code that is `before` + count bytes long.
CODEWORD_INLINE uint64_t last_bits(const uint8_t* code, int64_t before, int64_t count) {
  uint64_t bits = 0;
  if (before >= 8) {
    __builtin_memcpy(&bits, code + before + count - 8, 8);
    return bits >> (64 - 8 * count);
  }
  for (int64_t t = before + count - 1; t >= before; --t) bits = bits << 8 | code[t];
  return bits;
}

void scan_signs_one(const uint8_t* codes, int64_t n, int64_t stride, const int8_t* weights, const int16_t*,
                    int64_t count, int32_t* sums) {
  constexpr int64_t kRows = 4;
  const __m512i one = _mm512_set1_epi8(1);
  const int64_t whole = count / 8 * 8;
  for (int64_t i = 0; i < n; i += kRows) {
    I32 acc[kRows];
    const uint8_t* rows[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      acc[r] = {_mm512_setzero_si512()};
      rows[r] = codes + min_of(i + r, n - 1) * stride;
    }
    for (int64_t at = 0; at < whole; at += 8) {
      const I32 w = {_mm512_loadu_si512(weights + 8 * at)};
      CODEWORD_UNROLL
      for (int64_t r = 0; r < kRows; ++r) {
        __mmask64 bits;
        __builtin_memcpy(&bits, rows[r] + at, 8);
        acc[r] = dot_u8s8(acc[r], {_mm512_maskz_mov_epi8(bits, one)}, w);
      }
    }
    if (whole < count) {
      const I32 w = {_mm512_loadu_si512(weights + 8 * whole)};
      for (int64_t r = 0; r < kRows; ++r) {
        const __mmask64 bits = last_bits(rows[r], whole, count - whole);
        acc[r] = dot_u8s8(acc[r], {_mm512_maskz_mov_epi8(bits, one)}, w);
      }
    }
    int32_t four[kRows];
    sum_lanes({to_words(acc[0]), to_words(acc[1]), to_words(acc[2]), to_words(acc[3])}, four);
    __builtin_memcpy(sums + i, four, min_of(kRows, n - i) * sizeof(int32_t));
  }
}
#else
void scan_signs_one(const uint8_t* codes, int64_t n, int64_t stride, const int8_t*, const int16_t* table, int64_t count,
                    int32_t* sums) {
  for (int64_t i = 0; i < n; ++i, codes += stride) {
    int32_t even = 0, odd = 0;
    int64_t t = 0;
    for (; t + 2 <= count; t += 2) {
      even += table[t * 256 + codes[t]];
      odd += table[(t + 1) * 256 + codes[t + 1]];
    }
    if (t < count) even += table[t * 256 + codes[t]];
    sums[i] = even + odd;
  }
}
#endif
