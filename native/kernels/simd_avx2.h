// AVX2 with FMA (x86-64-v3): sixteen registers, so a tile of 6 x 2 vectors.
constexpr int64_t kLanes = 8;
constexpr int64_t kPanelVectors = 2;
constexpr bool kFused = true;

struct F32 {
  __m256 v;
};
struct I32 {
  __m256i v;
};

CODEWORD_INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
CODEWORD_INLINE __m128 low_half(__m256 a) { return _mm256_castps256_ps128(a); }
CODEWORD_INLINE __m128 high_half(__m256 a) { return _mm256_extractf128_ps(a, 1); }

CODEWORD_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
CODEWORD_INLINE F32 load_first(const float* p, int64_t n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
CODEWORD_INLINE void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
CODEWORD_INLINE F32 splat(float a) { return {_mm256_set1_ps(a)}; }
CODEWORD_INLINE F32 hide(F32 a) {
  CODEWORD_KEEP("x", a.v);
  return a;
}
CODEWORD_INLINE I32 hide(I32 a) {
  CODEWORD_KEEP("x", a.v);
  return a;
}
CODEWORD_INLINE F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 muladd(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
CODEWORD_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
CODEWORD_INLINE uint32_t le_bits(F32 a, F32 b) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)));
}
CODEWORD_INLINE float lane_min(F32 a) {
  __m128 b = _mm_min_ps(low_half(a.v), high_half(a.v));
  b = _mm_min_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_min_ss(b, _mm_movehdup_ps(b)));
}
CODEWORD_INLINE float lane_max(F32 a) {
  __m128 b = _mm_max_ps(low_half(a.v), high_half(a.v));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}
CODEWORD_INLINE float lane_sum(F32 a) {
  __m128 b = _mm_add_ps(low_half(a.v), high_half(a.v));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

CODEWORD_INLINE I32 load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
CODEWORD_INLINE void store(int32_t* p, I32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
CODEWORD_INLINE I32 splat(int32_t a) { return {_mm256_set1_epi32(a)}; }
CODEWORD_INLINE I32 min(I32 a, I32 b) { return {_mm256_min_epi32(a.v, b.v)}; }
CODEWORD_INLINE I32 max(I32 a, I32 b) { return {_mm256_max_epi32(a.v, b.v)}; }
CODEWORD_INLINE F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }
CODEWORD_INLINE I32 to_int(F32 a) { return {_mm256_cvtps_epi32(a.v)}; }  // nearest, ties to even

// acc[l] + the dot product of the l-th pair of int16.
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) { return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(a.v, b.v))}; }

struct F64x8 {
  __m256d lo, hi;
};

CODEWORD_INLINE F64x8 zero_f64x8() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
CODEWORD_INLINE F64x8 load_f64x8(const float* p) {
  return {_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))};
}
CODEWORD_INLINE F64x8 load_f64x8_first(const float* p, int64_t n) {
  const __m256 a = _mm256_maskload_ps(p, first_lanes(n));
  return {_mm256_cvtps_pd(low_half(a)), _mm256_cvtps_pd(high_half(a))};
}
CODEWORD_INLINE F64x8 load_f64x8(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
CODEWORD_INLINE void store_f64x8(double* p, F64x8 a) {
  _mm256_storeu_pd(p, a.lo);
  _mm256_storeu_pd(p + 4, a.hi);
}
CODEWORD_INLINE F64x8 splat_f64x8(double a) { return {_mm256_set1_pd(a), _mm256_set1_pd(a)}; }
CODEWORD_INLINE F64x8 add(F64x8 a, F64x8 b) { return {_mm256_add_pd(a.lo, b.lo), _mm256_add_pd(a.hi, b.hi)}; }
CODEWORD_INLINE F64x8 sub(F64x8 a, F64x8 b) { return {_mm256_sub_pd(a.lo, b.lo), _mm256_sub_pd(a.hi, b.hi)}; }
CODEWORD_INLINE F64x8 mul(F64x8 a, F64x8 b) { return {_mm256_mul_pd(a.lo, b.lo), _mm256_mul_pd(a.hi, b.hi)}; }
CODEWORD_INLINE F64x8 muladd(F64x8 a, F64x8 b, F64x8 c) {
  return {_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)};
}
// a[l] + a[l + 4], then b[l] + b[l + 2], then c[0] + c[1].
CODEWORD_INLINE double lane_order_sum(F64x8 a) {
  const __m256d b = _mm256_add_pd(a.lo, a.hi);
  const __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
  return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}
// sums[l] += the integer nearest to a[l] (ties to even), |a[l]| < 2^51: adding 1.5 * 2^52 leaves that integer in the
// low bits.
CODEWORD_INLINE void add_rounded(int64_t* sums, __m256d a) {
  const __m256d magic = _mm256_set1_pd(6755399441055744.0);
  const __m256i n = _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(a, magic)), _mm256_castpd_si256(magic));
  __m256i* p = reinterpret_cast<__m256i*>(sums);
  _mm256_storeu_si256(p, _mm256_add_epi64(_mm256_loadu_si256(p), n));
}
CODEWORD_INLINE void add_rounded(int64_t* sums, F64x8 a) {
  add_rounded(sums, a.lo);
  add_rounded(sums + 4, a.hi);
}

CODEWORD_INLINE double sqrt_of(double a) { return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(a))); }
CODEWORD_INLINE float sqrt_of(float a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }
