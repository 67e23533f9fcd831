// SSE4.2 (x86-64-v2): four lanes, no fused multiply-add.
constexpr int64_t kLanes = 4;
constexpr int64_t kPanelVectors = 2;
constexpr bool kFused = false;

struct F32 {
  __m128 v;
};
struct I32 {
  __m128i v;
};

CODEWORD_INLINE F32 load(const float* p) { return {_mm_loadu_ps(p)}; }
CODEWORD_INLINE __m128 first_lanes(const float* p, int64_t n) {
  if (n >= 4) return _mm_loadu_ps(p);
  const __m128 first = n >= 1 ? _mm_load_ss(p) : _mm_setzero_ps();
  if (n <= 1) return first;
  const __m128 two = _mm_unpacklo_ps(first, _mm_load_ss(p + 1));
  return n == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2));
}
CODEWORD_INLINE F32 load_first(const float* p, int64_t n) { return {first_lanes(p, n)}; }
CODEWORD_INLINE void store(float* p, F32 a) { _mm_storeu_ps(p, a.v); }
CODEWORD_INLINE F32 splat(float a) { return {_mm_set1_ps(a)}; }
CODEWORD_INLINE F32 hide(F32 a) {
  CODEWORD_KEEP("x", a.v);
  return a;
}
CODEWORD_INLINE I32 hide(I32 a) {
  CODEWORD_KEEP("x", a.v);
  return a;
}
CODEWORD_INLINE F32 add(F32 a, F32 b) { return {_mm_add_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 sub(F32 a, F32 b) { return {_mm_sub_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 mul(F32 a, F32 b) { return {_mm_mul_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 muladd(F32 a, F32 b, F32 c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
CODEWORD_INLINE F32 min(F32 a, F32 b) { return {_mm_min_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 max(F32 a, F32 b) { return {_mm_max_ps(a.v, b.v)}; }
CODEWORD_INLINE F32 abs(F32 a) { return {_mm_andnot_ps(_mm_set1_ps(-0.0f), a.v)}; }
CODEWORD_INLINE uint32_t le_bits(F32 a, F32 b) {
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmple_ps(a.v, b.v)));
}
CODEWORD_INLINE float lane_min(F32 a) {
  const __m128 b = _mm_min_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_min_ss(b, _mm_movehdup_ps(b)));
}
CODEWORD_INLINE float lane_max(F32 a) {
  const __m128 b = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}
CODEWORD_INLINE float lane_sum(F32 a) {
  const __m128 b = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

CODEWORD_INLINE I32 load(const int32_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
CODEWORD_INLINE void store(int32_t* p, I32 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a.v); }
CODEWORD_INLINE I32 splat(int32_t a) { return {_mm_set1_epi32(a)}; }
CODEWORD_INLINE I32 min(I32 a, I32 b) { return {_mm_min_epi32(a.v, b.v)}; }
CODEWORD_INLINE I32 max(I32 a, I32 b) { return {_mm_max_epi32(a.v, b.v)}; }
CODEWORD_INLINE F32 to_float(I32 a) { return {_mm_cvtepi32_ps(a.v)}; }
CODEWORD_INLINE I32 to_int(F32 a) { return {_mm_cvtps_epi32(a.v)}; }  // nearest, ties to even

// acc[l] + the dot product of the l-th pair of int16.
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) { return {_mm_add_epi32(acc.v, _mm_madd_epi16(a.v, b.v))}; }

struct F64x8 {
  __m128d v[4];
};

CODEWORD_INLINE __m128d high_pair(__m128 a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }
CODEWORD_INLINE F64x8 zero_f64x8() {
  const __m128d zero = _mm_setzero_pd();
  return {{zero, zero, zero, zero}};
}
CODEWORD_INLINE F64x8 widen(__m128 low, __m128 high) {
  return {{_mm_cvtps_pd(low), high_pair(low), _mm_cvtps_pd(high), high_pair(high)}};
}
CODEWORD_INLINE F64x8 load_f64x8(const float* p) { return widen(_mm_loadu_ps(p), _mm_loadu_ps(p + 4)); }
CODEWORD_INLINE F64x8 load_f64x8_first(const float* p, int64_t n) {
  return widen(first_lanes(p, n), n > 4 ? first_lanes(p + 4, n - 4) : _mm_setzero_ps());
}
CODEWORD_INLINE F64x8 load_f64x8(const double* p) {
  return {{_mm_loadu_pd(p), _mm_loadu_pd(p + 2), _mm_loadu_pd(p + 4), _mm_loadu_pd(p + 6)}};
}
CODEWORD_INLINE void store_f64x8(double* p, F64x8 a) {
  for (int i = 0; i < 4; ++i) _mm_storeu_pd(p + 2 * i, a.v[i]);
}
CODEWORD_INLINE F64x8 splat_f64x8(double a) {
  const __m128d all = _mm_set1_pd(a);
  return {{all, all, all, all}};
}
CODEWORD_INLINE F64x8 add(F64x8 a, F64x8 b) {
  return {
      {_mm_add_pd(a.v[0], b.v[0]), _mm_add_pd(a.v[1], b.v[1]), _mm_add_pd(a.v[2], b.v[2]), _mm_add_pd(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 sub(F64x8 a, F64x8 b) {
  return {
      {_mm_sub_pd(a.v[0], b.v[0]), _mm_sub_pd(a.v[1], b.v[1]), _mm_sub_pd(a.v[2], b.v[2]), _mm_sub_pd(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 mul(F64x8 a, F64x8 b) {
  return {
      {_mm_mul_pd(a.v[0], b.v[0]), _mm_mul_pd(a.v[1], b.v[1]), _mm_mul_pd(a.v[2], b.v[2]), _mm_mul_pd(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 muladd(F64x8 a, F64x8 b, F64x8 c) { return add(mul(a, b), c); }
// a[l] + a[l + 4], then b[l] + b[l + 2], then c[0] + c[1].
CODEWORD_INLINE double lane_order_sum(F64x8 a) {
  const __m128d c = _mm_add_pd(_mm_add_pd(a.v[0], a.v[2]), _mm_add_pd(a.v[1], a.v[3]));
  return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}
// sums[l] += the integer nearest to a[l] (ties to even), |a[l]| < 2^51: adding 1.5 * 2^52 leaves that integer in the
// low bits.
CODEWORD_INLINE void add_rounded(int64_t* sums, F64x8 a) {
  const __m128d magic = _mm_set1_pd(6755399441055744.0);
  CODEWORD_UNROLL
  for (int j = 0; j < 4; ++j) {
    const __m128i n = _mm_sub_epi64(_mm_castpd_si128(_mm_add_pd(a.v[j], magic)), _mm_castpd_si128(magic));
    __m128i* p = reinterpret_cast<__m128i*>(sums + 2 * j);
    _mm_storeu_si128(p, _mm_add_epi64(_mm_loadu_si128(p), n));
  }
}

CODEWORD_INLINE double sqrt_of(double a) { return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(a))); }
CODEWORD_INLINE float sqrt_of(float a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }
