// NEON (armv8-a): thirty-two registers of four lanes, fused multiply-add.
constexpr int64_t kLanes = 4;
constexpr int64_t kPanelVectors = 4;
constexpr bool kFused = true;

struct F32 {
  float32x4_t v;
};
struct I32 {
  int32x4_t v;
};

CODEWORD_INLINE float32x4_t first_lanes(const float* p, int64_t n) {
  if (n >= 4) return vld1q_f32(p);
  float32x4_t a = vdupq_n_f32(0);
  if (n >= 1) a = vld1q_lane_f32(p, a, 0);
  if (n >= 2) a = vld1q_lane_f32(p + 1, a, 1);
  if (n >= 3) a = vld1q_lane_f32(p + 2, a, 2);
  return a;
}
CODEWORD_INLINE F32 load(const float* p) { return {vld1q_f32(p)}; }
CODEWORD_INLINE F32 load_first(const float* p, int64_t n) { return {first_lanes(p, n)}; }
CODEWORD_INLINE void store(float* p, F32 a) { vst1q_f32(p, a.v); }
CODEWORD_INLINE F32 splat(float a) { return {vdupq_n_f32(a)}; }
CODEWORD_INLINE F32 hide(F32 a) {
  CODEWORD_KEEP("w", a.v);
  return a;
}
CODEWORD_INLINE I32 hide(I32 a) {
  CODEWORD_KEEP("w", a.v);
  return a;
}
CODEWORD_INLINE F32 add(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
CODEWORD_INLINE F32 sub(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
CODEWORD_INLINE F32 mul(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
CODEWORD_INLINE F32 muladd(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
CODEWORD_INLINE F32 min(F32 a, F32 b) { return {vminq_f32(a.v, b.v)}; }
CODEWORD_INLINE F32 max(F32 a, F32 b) { return {vmaxq_f32(a.v, b.v)}; }
CODEWORD_INLINE F32 abs(F32 a) { return {vabsq_f32(a.v)}; }
CODEWORD_INLINE uint32_t le_bits(F32 a, F32 b) {
  const uint32_t weights[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vcleq_f32(a.v, b.v), vld1q_u32(weights)));
}
CODEWORD_INLINE float lane_min(F32 a) { return vminvq_f32(a.v); }
CODEWORD_INLINE float lane_max(F32 a) { return vmaxvq_f32(a.v); }
CODEWORD_INLINE float lane_sum(F32 a) { return vaddvq_f32(a.v); }

CODEWORD_INLINE I32 load(const int32_t* p) { return {vld1q_s32(p)}; }
CODEWORD_INLINE void store(int32_t* p, I32 a) { vst1q_s32(p, a.v); }
CODEWORD_INLINE I32 splat(int32_t a) { return {vdupq_n_s32(a)}; }
CODEWORD_INLINE I32 min(I32 a, I32 b) { return {vminq_s32(a.v, b.v)}; }
CODEWORD_INLINE I32 max(I32 a, I32 b) { return {vmaxq_s32(a.v, b.v)}; }
CODEWORD_INLINE F32 to_float(I32 a) { return {vcvtq_f32_s32(a.v)}; }
CODEWORD_INLINE I32 to_int(F32 a) { return {vcvtnq_s32_f32(a.v)}; }  // nearest, ties to even

// acc[l] + the dot product of the l-th pair of int16.
CODEWORD_INLINE I32 dot_s16(I32 acc, I32 a, I32 b) {
  const int16x8_t x = vreinterpretq_s16_s32(a.v), y = vreinterpretq_s16_s32(b.v);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return {vaddq_s32(acc.v, vpaddq_s32(low, high))};
}

struct F64x8 {
  float64x2_t v[4];
};

CODEWORD_INLINE F64x8 zero_f64x8() {
  const float64x2_t zero = vdupq_n_f64(0);
  return {{zero, zero, zero, zero}};
}
CODEWORD_INLINE F64x8 widen(float32x4_t low, float32x4_t high) {
  return {{vcvt_f64_f32(vget_low_f32(low)), vcvt_high_f64_f32(low), vcvt_f64_f32(vget_low_f32(high)),
           vcvt_high_f64_f32(high)}};
}
CODEWORD_INLINE F64x8 load_f64x8(const float* p) { return widen(vld1q_f32(p), vld1q_f32(p + 4)); }
CODEWORD_INLINE F64x8 load_f64x8_first(const float* p, int64_t n) {
  return widen(first_lanes(p, n), n > 4 ? first_lanes(p + 4, n - 4) : vdupq_n_f32(0));
}
CODEWORD_INLINE F64x8 load_f64x8(const double* p) {
  return {{vld1q_f64(p), vld1q_f64(p + 2), vld1q_f64(p + 4), vld1q_f64(p + 6)}};
}
CODEWORD_INLINE void store_f64x8(double* p, F64x8 a) {
  for (int i = 0; i < 4; ++i) vst1q_f64(p + 2 * i, a.v[i]);
}
CODEWORD_INLINE F64x8 splat_f64x8(double a) {
  const float64x2_t all = vdupq_n_f64(a);
  return {{all, all, all, all}};
}
CODEWORD_INLINE F64x8 add(F64x8 a, F64x8 b) {
  return {{vaddq_f64(a.v[0], b.v[0]), vaddq_f64(a.v[1], b.v[1]), vaddq_f64(a.v[2], b.v[2]), vaddq_f64(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 sub(F64x8 a, F64x8 b) {
  return {{vsubq_f64(a.v[0], b.v[0]), vsubq_f64(a.v[1], b.v[1]), vsubq_f64(a.v[2], b.v[2]), vsubq_f64(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 mul(F64x8 a, F64x8 b) {
  return {{vmulq_f64(a.v[0], b.v[0]), vmulq_f64(a.v[1], b.v[1]), vmulq_f64(a.v[2], b.v[2]), vmulq_f64(a.v[3], b.v[3])}};
}
CODEWORD_INLINE F64x8 muladd(F64x8 a, F64x8 b, F64x8 c) {
  return {{vfmaq_f64(c.v[0], a.v[0], b.v[0]), vfmaq_f64(c.v[1], a.v[1], b.v[1]), vfmaq_f64(c.v[2], a.v[2], b.v[2]),
           vfmaq_f64(c.v[3], a.v[3], b.v[3])}};
}
// a[l] + a[l + 4], then b[l] + b[l + 2], then c[0] + c[1].
CODEWORD_INLINE double lane_order_sum(F64x8 a) {
  const float64x2_t c = vaddq_f64(vaddq_f64(a.v[0], a.v[2]), vaddq_f64(a.v[1], a.v[3]));
  return vgetq_lane_f64(c, 0) + vgetq_lane_f64(c, 1);
}
// sums[l] += the integer nearest to a[l] (ties to even), |a[l]| < 2^51.
CODEWORD_INLINE void add_rounded(int64_t* sums, F64x8 a) {
  CODEWORD_UNROLL
  for (int j = 0; j < 4; ++j) vst1q_s64(sums + 2 * j, vaddq_s64(vld1q_s64(sums + 2 * j), vcvtnq_s64_f64(a.v[j])));
}

CODEWORD_INLINE double sqrt_of(double a) { return vget_lane_f64(vsqrt_f64(vdup_n_f64(a)), 0); }
CODEWORD_INLINE float sqrt_of(float a) { return vget_lane_f32(vsqrt_f32(vdup_n_f32(a)), 0); }
