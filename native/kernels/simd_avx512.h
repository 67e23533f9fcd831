// AVX-512 (x86-64-v4), with the int8 and int16 dot products of VNNI where the variant has them. Two 512-bit operations
// a cycle on ports 0 and 5 of Intel's servers and on Zen 5; integer minimum (vpminsd) only one.
constexpr int64_t kLanes = 16;
constexpr uint32_t kAllLanes = 0xffff;
constexpr int64_t kPanelVectors = 4;
constexpr bool kFused = true;
// g++ 12 warns about the undefined pass-through operands of its own intrinsics (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#if defined(__AVX512VNNI__)
#define CODEWORD_VNNI 1
#endif
#if defined(__AMX_INT8__)
#define CODEWORD_AMX 1
#endif

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};

CODEWORD_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

CODEWORD_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
CODEWORD_INLINE F32 load_first(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
CODEWORD_INLINE void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
CODEWORD_INLINE F32 splat(float a) { return {_mm512_set1_ps(a)}; }
CODEWORD_INLINE F32 hide(F32 a) {
  CODEWORD_KEEP("v", a.v);
  return a;
}
CODEWORD_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 muladd(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
CODEWORD_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
CODEWORD_INLINE uint32_t le_bits(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ); }
CODEWORD_INLINE float lane_min(F32 a) { return _mm512_reduce_min_ps(a.v); }
CODEWORD_INLINE float lane_max(F32 a) { return _mm512_reduce_max_ps(a.v); }
CODEWORD_INLINE float lane_sum(F32 a) { return _mm512_reduce_add_ps(a.v); }

CODEWORD_INLINE I32 load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
CODEWORD_INLINE void store(int32_t* p, I32 a) { _mm512_storeu_si512(p, a.v); }
CODEWORD_INLINE I32 splat(int32_t a) { return {_mm512_set1_epi32(a)}; }
CODEWORD_INLINE I32 hide(I32 a) {
  CODEWORD_KEEP("v", a.v);
  return a;
}
CODEWORD_INLINE I32 min(I32 a, I32 b) { return {_mm512_min_epi32(a.v, b.v)}; }
CODEWORD_INLINE I32 max(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
CODEWORD_INLINE uint32_t le_bits(I32 a, I32 b) { return _mm512_cmple_epi32_mask(a.v, b.v); }
CODEWORD_INLINE int32_t lane_min(I32 a) { return _mm512_reduce_min_epi32(a.v); }
CODEWORD_INLINE F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
CODEWORD_INLINE I32 to_int(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }  // nearest, ties to even

CODEWORD_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }

#if CODEWORD_VNNI
// The bits of `low` where `mask` has ones, those of `a` elsewhere.
CODEWORD_INLINE I32 with_low_bits(I32 a, I32 mask, I32 low) {
  return {_mm512_ternarylogic_epi32(a.v, mask.v, low.v, 0xB8)};
}
// acc[l] + the dot product of the l-th group of four bytes (a unsigned, b signed), or of two int16.
// As assembly where possible: g++ 12 copies and spills the accumulators of a tile around the intrinsic.
#if defined(_MSC_VER) && !defined(__clang__)
CODEWORD_INLINE I32 dot_u8s8(I32 acc, I32 a, I32 b) { return {_mm512_dpbusd_epi32(acc.v, a.v, b.v)}; }
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) { return {_mm512_dpwssd_epi32(acc.v, a.v, b.v)}; }
#else
CODEWORD_INLINE I32 dot_u8s8(I32 acc, I32 a, I32 b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc.v) : "v"(a.v), "v"(b.v));
  return acc;
}
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(acc.v) : "v"(a.v), "v"(b.v));
  return acc;
}
#endif
CODEWORD_INLINE void store_bytes(uint8_t* p, I32 a) {  // the low byte of every lane
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
CODEWORD_INLINE void store_words(int16_t* p, I32 a) {  // the low half of every lane
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}
CODEWORD_INLINE I32 add(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
#else
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) { return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(a.v, b.v))}; }
#endif

struct F64x8 {
  __m512d v;
};

CODEWORD_INLINE F64x8 zero_f64x8() { return {_mm512_setzero_pd()}; }
CODEWORD_INLINE F64x8 load_f64x8(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
CODEWORD_INLINE F64x8 load_f64x8_first(const float* p, int64_t n) {
  return {_mm512_cvtps_pd(_mm512_castps512_ps256(_mm512_maskz_loadu_ps(first_lanes(n), p)))};
}
CODEWORD_INLINE F64x8 splat_f64x8(double a) { return {_mm512_set1_pd(a)}; }
CODEWORD_INLINE F64x8 add(F64x8 a, F64x8 b) { return {_mm512_add_pd(a.v, b.v)}; }
CODEWORD_INLINE F64x8 sub(F64x8 a, F64x8 b) { return {_mm512_sub_pd(a.v, b.v)}; }
CODEWORD_INLINE F64x8 mul(F64x8 a, F64x8 b) { return {_mm512_mul_pd(a.v, b.v)}; }
CODEWORD_INLINE F64x8 muladd(F64x8 a, F64x8 b, F64x8 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
// a[l] + a[l + 4], then b[l] + b[l + 2], then c[0] + c[1].
CODEWORD_INLINE double lane_order_sum(F64x8 a) {
  const __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
  return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}
// sums[l] += the integer nearest to a[l] (ties to even), |a[l]| < 2^51: adding 1.5 * 2^52 leaves that integer in the
// low bits.
CODEWORD_INLINE void add_rounded(int64_t* sums, F64x8 a) {
  const __m512d magic = _mm512_set1_pd(6755399441055744.0);
  const __m512i n = _mm512_sub_epi64(_mm512_castpd_si512(_mm512_add_pd(a.v, magic)), _mm512_castpd_si512(magic));
  _mm512_storeu_si512(sums, _mm512_add_epi64(_mm512_loadu_si512(sums), n));
}
CODEWORD_INLINE F64x8 load_f64x8(const double* p) { return {_mm512_loadu_pd(p)}; }
CODEWORD_INLINE void store_f64x8(double* p, F64x8 a) { _mm512_storeu_pd(p, a.v); }

CODEWORD_INLINE double sqrt_of(double a) { return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(a))); }
CODEWORD_INLINE float sqrt_of(float a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }
