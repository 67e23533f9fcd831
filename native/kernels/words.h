// Integer vectors of the scans over codes: Words, kLanes lanes of 32 bits, each also read as two halves of 16.
// Wrapping arithmetic throughout.

#if defined(__AVX512BW__)

struct Words {
  __m512i v;
};
CODEWORD_INLINE Words to_words(I32 a) { return {a.v}; }
CODEWORD_INLINE I32 to_lanes(Words a) { return {a.v}; }
CODEWORD_INLINE Words zero_words() { return {_mm512_setzero_si512()}; }
CODEWORD_INLINE Words splat_halves(int16_t a) { return {_mm512_set1_epi16(a)}; }
CODEWORD_INLINE Words load_words(const void* p) { return {_mm512_loadu_si512(p)}; }
CODEWORD_INLINE void store_words(void* p, Words a) { _mm512_storeu_si512(p, a.v); }
CODEWORD_INLINE Words add(Words a, Words b) { return {_mm512_add_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words sub(Words a, Words b) { return {_mm512_sub_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words shift_left(Words a, int count) { return {_mm512_sll_epi32(a.v, _mm_cvtsi32_si128(count))}; }
CODEWORD_INLINE Words low_to_high(Words a) { return {_mm512_slli_epi32(a.v, 16)}; }
CODEWORD_INLINE Words high_to_low(Words a) { return {_mm512_srli_epi32(a.v, 16)}; }
CODEWORD_INLINE F32 to_float(Words a) { return {_mm512_cvtepi32_ps(a.v)}; }
// The low byte of every lane of four vectors: 4 * kLanes bytes.
CODEWORD_INLINE void store_bytes(uint8_t* p, const Words (&a)[4]) {
  for (int v = 0; v < 4; ++v) _mm_storeu_si128(reinterpret_cast<__m128i*>(p) + v, _mm512_cvtepi32_epi8(a[v].v));
}
// Halves: 2 * kLanes bytes widened; shift right by `count`, keep the bits of `mask`; products; difference.
CODEWORD_INLINE Words widen_bytes(const uint8_t* p) {
  return {_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
template <int kCount>
CODEWORD_INLINE Words field(Words a, Words mask) {
  return {_mm512_and_si512(_mm512_srli_epi16(a.v, kCount), mask.v)};
}
CODEWORD_INLINE Words mul_halves(Words a, Words b) { return {_mm512_mullo_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words sub_halves(Words a, Words b) { return {_mm512_sub_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words add_halves(Words a, Words b) { return {_mm512_add_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words high_bytes(Words a) { return {_mm512_srli_epi16(a.v, 8)}; }  // of every half
// acc + products of signed halves, each summed with a neighbour's.
CODEWORD_INLINE Words dot_halves(Words acc, Words a, Words b) {
#if defined(__AVX512VNNI__)
  return {_mm512_dpwssd_epi32(acc.v, a.v, b.v)};
#else
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(a.v, b.v))};
#endif
}
CODEWORD_INLINE __m256i fold(Words a) {
  return _mm256_add_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti64x4_epi64(a.v, 1));
}
CODEWORD_INLINE void sum_lanes(const Words (&a)[4], int32_t* sums) {
  const __m256i b =
      _mm256_hadd_epi32(_mm256_hadd_epi32(fold(a[0]), fold(a[1])), _mm256_hadd_epi32(fold(a[2]), fold(a[3])));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums),
                   _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
}

#elif defined(__AVX2__)

struct Words {
  __m256i v;
};
CODEWORD_INLINE Words to_words(I32 a) { return {a.v}; }
CODEWORD_INLINE I32 to_lanes(Words a) { return {a.v}; }
CODEWORD_INLINE Words zero_words() { return {_mm256_setzero_si256()}; }
CODEWORD_INLINE Words splat_halves(int16_t a) { return {_mm256_set1_epi16(a)}; }
CODEWORD_INLINE Words load_words(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
CODEWORD_INLINE void store_words(void* p, Words a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a.v); }
CODEWORD_INLINE Words add(Words a, Words b) { return {_mm256_add_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words sub(Words a, Words b) { return {_mm256_sub_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words shift_left(Words a, int count) { return {_mm256_sll_epi32(a.v, _mm_cvtsi32_si128(count))}; }
CODEWORD_INLINE Words low_to_high(Words a) { return {_mm256_slli_epi32(a.v, 16)}; }
CODEWORD_INLINE Words high_to_low(Words a) { return {_mm256_srli_epi32(a.v, 16)}; }
CODEWORD_INLINE F32 to_float(Words a) { return {_mm256_cvtepi32_ps(a.v)}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, const Words (&a)[4]) {
  const __m256i b = _mm256_packus_epi16(_mm256_packs_epi32(a[0].v, a[1].v), _mm256_packs_epi32(a[2].v, a[3].v));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(b, order));
}
CODEWORD_INLINE Words widen_bytes(const uint8_t* p) {
  return {_mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
template <int kCount>
CODEWORD_INLINE Words field(Words a, Words mask) {
  return {_mm256_and_si256(_mm256_srli_epi16(a.v, kCount), mask.v)};
}
CODEWORD_INLINE Words mul_halves(Words a, Words b) { return {_mm256_mullo_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words sub_halves(Words a, Words b) { return {_mm256_sub_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words add_halves(Words a, Words b) { return {_mm256_add_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words high_bytes(Words a) { return {_mm256_srli_epi16(a.v, 8)}; }
CODEWORD_INLINE Words dot_halves(Words acc, Words a, Words b) {
  return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(a.v, b.v))};
}
CODEWORD_INLINE void sum_lanes(const Words (&a)[4], int32_t* sums) {
  const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0].v, a[1].v), _mm256_hadd_epi32(a[2].v, a[3].v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums),
                   _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
}

#elif defined(__aarch64__) || defined(_M_ARM64)

struct Words {
  uint32x4_t v;
};
CODEWORD_INLINE Words to_words(I32 a) { return {vreinterpretq_u32_s32(a.v)}; }
CODEWORD_INLINE I32 to_lanes(Words a) { return {vreinterpretq_s32_u32(a.v)}; }
CODEWORD_INLINE Words zero_words() { return {vdupq_n_u32(0)}; }
CODEWORD_INLINE Words splat_halves(int16_t a) { return {vreinterpretq_u32_s16(vdupq_n_s16(a))}; }
CODEWORD_INLINE Words load_words(const void* p) {
  return {vreinterpretq_u32_u8(vld1q_u8(static_cast<const uint8_t*>(p)))};
}
CODEWORD_INLINE void store_words(void* p, Words a) { vst1q_u8(static_cast<uint8_t*>(p), vreinterpretq_u8_u32(a.v)); }
CODEWORD_INLINE Words add(Words a, Words b) { return {vaddq_u32(a.v, b.v)}; }
CODEWORD_INLINE Words sub(Words a, Words b) { return {vsubq_u32(a.v, b.v)}; }
CODEWORD_INLINE Words shift_left(Words a, int count) { return {vshlq_u32(a.v, vdupq_n_s32(count))}; }
CODEWORD_INLINE Words low_to_high(Words a) { return {vshlq_n_u32(a.v, 16)}; }
CODEWORD_INLINE Words high_to_low(Words a) { return {vshrq_n_u32(a.v, 16)}; }
CODEWORD_INLINE F32 to_float(Words a) { return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.v))}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, const Words (&a)[4]) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(a[0].v), vmovn_u32(a[1].v));
  const uint16x8_t high = vcombine_u16(vmovn_u32(a[2].v), vmovn_u32(a[3].v));
  vst1q_u8(p, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}
CODEWORD_INLINE Words widen_bytes(const uint8_t* p) { return {vreinterpretq_u32_u16(vmovl_u8(vld1_u8(p)))}; }
template <int kCount>
CODEWORD_INLINE Words field(Words a, Words mask) {
  const uint16x8_t shifted = vshlq_u16(vreinterpretq_u16_u32(a.v), vdupq_n_s16(-kCount));
  return {vandq_u32(vreinterpretq_u32_u16(shifted), mask.v)};
}
CODEWORD_INLINE Words mul_halves(Words a, Words b) {
  return {vreinterpretq_u32_u16(vmulq_u16(vreinterpretq_u16_u32(a.v), vreinterpretq_u16_u32(b.v)))};
}
CODEWORD_INLINE Words sub_halves(Words a, Words b) {
  return {vreinterpretq_u32_u16(vsubq_u16(vreinterpretq_u16_u32(a.v), vreinterpretq_u16_u32(b.v)))};
}
CODEWORD_INLINE Words add_halves(Words a, Words b) {
  return {vreinterpretq_u32_u16(vaddq_u16(vreinterpretq_u16_u32(a.v), vreinterpretq_u16_u32(b.v)))};
}
CODEWORD_INLINE Words high_bytes(Words a) {
  return {vreinterpretq_u32_u16(vshrq_n_u16(vreinterpretq_u16_u32(a.v), 8))};
}
CODEWORD_INLINE Words dot_halves(Words acc, Words a, Words b) {
  const int16x8_t x = vreinterpretq_s16_u32(a.v), y = vreinterpretq_s16_u32(b.v);
  const int32x4_t low = vmlal_s16(vreinterpretq_s32_u32(acc.v), vget_low_s16(x), vget_low_s16(y));
  return {vreinterpretq_u32_s32(vmlal_high_s16(low, x, y))};
}
CODEWORD_INLINE void sum_lanes(const Words (&a)[4], int32_t* sums) {
  const uint32x4_t b = vpaddq_u32(vpaddq_u32(a[0].v, a[1].v), vpaddq_u32(a[2].v, a[3].v));
  vst1q_s32(sums, vreinterpretq_s32_u32(b));
}

#else

struct Words {
  __m128i v;
};
CODEWORD_INLINE Words to_words(I32 a) { return {a.v}; }
CODEWORD_INLINE I32 to_lanes(Words a) { return {a.v}; }
CODEWORD_INLINE Words zero_words() { return {_mm_setzero_si128()}; }
CODEWORD_INLINE Words splat_halves(int16_t a) { return {_mm_set1_epi16(a)}; }
CODEWORD_INLINE Words load_words(const void* p) { return {_mm_loadu_si128(static_cast<const __m128i*>(p))}; }
CODEWORD_INLINE void store_words(void* p, Words a) { _mm_storeu_si128(static_cast<__m128i*>(p), a.v); }
CODEWORD_INLINE Words add(Words a, Words b) { return {_mm_add_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words sub(Words a, Words b) { return {_mm_sub_epi32(a.v, b.v)}; }
CODEWORD_INLINE Words shift_left(Words a, int count) { return {_mm_sll_epi32(a.v, _mm_cvtsi32_si128(count))}; }
CODEWORD_INLINE Words low_to_high(Words a) { return {_mm_slli_epi32(a.v, 16)}; }
CODEWORD_INLINE Words high_to_low(Words a) { return {_mm_srli_epi32(a.v, 16)}; }
CODEWORD_INLINE F32 to_float(Words a) { return {_mm_cvtepi32_ps(a.v)}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, const Words (&a)[4]) {
  const __m128i b = _mm_packus_epi16(_mm_packs_epi32(a[0].v, a[1].v), _mm_packs_epi32(a[2].v, a[3].v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), b);
}
CODEWORD_INLINE Words widen_bytes(const uint8_t* p) {
  return {_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
template <int kCount>
CODEWORD_INLINE Words field(Words a, Words mask) {
  return {_mm_and_si128(_mm_srli_epi16(a.v, kCount), mask.v)};
}
CODEWORD_INLINE Words mul_halves(Words a, Words b) { return {_mm_mullo_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words sub_halves(Words a, Words b) { return {_mm_sub_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words add_halves(Words a, Words b) { return {_mm_add_epi16(a.v, b.v)}; }
CODEWORD_INLINE Words high_bytes(Words a) { return {_mm_srli_epi16(a.v, 8)}; }
CODEWORD_INLINE Words dot_halves(Words acc, Words a, Words b) {
  return {_mm_add_epi32(acc.v, _mm_madd_epi16(a.v, b.v))};
}
CODEWORD_INLINE void sum_lanes(const Words (&a)[4], int32_t* sums) {
  const __m128i b = _mm_hadd_epi32(_mm_hadd_epi32(a[0].v, a[1].v), _mm_hadd_epi32(a[2].v, a[3].v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), b);
}

#endif

constexpr int64_t kWordBytes = 4 * kLanes;

template <int kValue>
struct Plane {
  static constexpr int value = kValue;
};

// f(Plane<0>()), ..., f(Plane<kPlanes - 1>()): shifts by constants in a loop over planes.
template <int kPlanes, class F>
CODEWORD_INLINE void for_planes(F f) {
  f(Plane<0>());
  if constexpr (kPlanes > 1) f(Plane<1>());
  if constexpr (kPlanes > 2) {
    f(Plane<2>());
    f(Plane<3>());
  }
}
