// Scans of codes against tables: sums of 16-bit table entries that the bytes of a code select.
//
// A group is 32 queries side by side: the entries of one byte value fill 64 bytes, entry 2 l belonging to query l and
// entry 2 l + 1 to query 16 + l, so one load serves all of them. A 32-bit lane of that load is low + 65536 * high;
// `whole` sums it modulo 2^32, `high` sums its upper half, and low = whole - 65536 * high in the end: three operations
// an entry where widening both halves takes four. Sums stay below 2^31 because the entries were scaled to
// (native/core/tables.cpp).
constexpr int64_t kGroup = 32;
constexpr int64_t kGroupWords = 16 / kLanes;  // vectors that hold the 64 bytes

// sums (n, 32), of `count` tables (size, 32) each, selected by codes[i * stride + 0 .. count - 1] < size; added to what
// is there where `go_on`.
void scan_bytes(const uint8_t* codes, int64_t n, int64_t stride, const uint16_t* tables, int64_t size, int64_t count,
                bool go_on, int32_t* sums) {
  for (int64_t i = 0; i < n; ++i, codes += stride, sums += kGroup) {
    Words whole[kGroupWords], high[kGroupWords];
    for (int64_t w = 0; w < kGroupWords; ++w) whole[w] = high[w] = zero_words();
    const uint16_t* table = tables;
    for (int64_t j = 0; j < count; ++j, table += size * kGroup) {
      const uint16_t* entry = table + codes[j] * kGroup;
      for (int64_t w = 0; w < kGroupWords; ++w) {
        const Words both = load_words(entry + 2 * kLanes * w);
        whole[w] = add(whole[w], both);
        high[w] = add(high[w], high_to_low(both));
      }
    }
    for (int64_t w = 0; w < kGroupWords; ++w) {
      Words first = sub(whole[w], low_to_high(high[w])), second = high[w];
      int32_t* p = sums + kLanes * w;
      if (go_on) {
        first = add(first, load_words(p));
        second = add(second, load_words(p + 16));
      }
      store_words(p, first);
      store_words(p + 16, second);
    }
  }
}

// out[l * step + i] = tile[i * kGroup + l] for 4 rows i and 4 queries l.
CODEWORD_INLINE void transpose_4x4(const float* tile, float* out, int64_t step) {
#if defined(__SSE2__)
  __m128 a = _mm_loadu_ps(tile), b = _mm_loadu_ps(tile + kGroup), c = _mm_loadu_ps(tile + 2 * kGroup),
         d = _mm_loadu_ps(tile + 3 * kGroup);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(out, a);
  _mm_storeu_ps(out + step, b);
  _mm_storeu_ps(out + 2 * step, c);
  _mm_storeu_ps(out + 3 * step, d);
#else
  for (int64_t l = 0; l < 4; ++l) {
    for (int64_t i = 0; i < 4; ++i) out[l * step + i] = tile[i * kGroup + l];
  }
#endif
}

// The float32 distances of a tile of sums (n, 32): out[l * step + i] = sums[i, l] * scale[l] + bias[l] for l < queries,
// multiply and add rounded apart. Sixteen rows at a time fill whole cache lines of `out`.
void scan_finish(const int32_t* sums, int64_t n, int64_t queries, const float* scale, const float* bias, float* out,
                 int64_t step) {
  for (int64_t start = 0; start < n; start += 16) {
    const int64_t rows = min_of(int64_t(16), n - start);
    float tile[16 * kGroup];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t l = 0; l < kGroup; l += kLanes) {
        const F32 sum = to_float(load_words(sums + (start + i) * kGroup + l));
        store(tile + i * kGroup + l, add(mul(sum, load(scale + l)), load(bias + l)));
      }
    }
    int64_t l = 0;
    if (rows == 16) {
      for (; l + 4 <= queries; l += 4) {
        for (int64_t i = 0; i < 16; i += 4) transpose_4x4(tile + i * kGroup + l, out + l * step + start + i, step);
      }
    }
    for (; l < queries; ++l) {
      for (int64_t i = 0; i < rows; ++i) out[l * step + start + i] = tile[i * kGroup + l];
    }
  }
}
