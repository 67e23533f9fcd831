// The vector vocabulary that kernels are written in, one header per instruction set. All of it is included inside the
// unnamed namespace of variant.cpp: nothing here has linkage, and nothing here needs a standard header.
//
//   F32, I32      kLanes values of float / int32_t      load store splat add sub mul muladd min max abs le_bits ...
//   F64x8         eight doubles on every ISA            the accumulators of the exact kernels (ARCHITECTURE.md,
//   Exactness)
//
// muladd(a, b, c) = a * b + c has one rounding where kFused and two elsewhere; error bounds must allow for both.
// le_bits(a, b) has bit l set where a[l] <= b[l]. Loads and stores need no alignment.
// kPanelVectors: vectors of codewords in a register tile; kTileRows * kPanelVectors accumulators must fit the
// registers.
#if defined(_MSC_VER) && !defined(__clang__)
#define CODEWORD_INLINE __forceinline
#define CODEWORD_RESTRICT __restrict
#define CODEWORD_UNROLL
#else
#define CODEWORD_INLINE inline __attribute__((always_inline))
#define CODEWORD_RESTRICT __restrict__
#define CODEWORD_UNROLL _Pragma("GCC unroll 32")
#endif

// Keeps a value in a register ("r", or the target's letter for vectors), of which the compiler then knows no more than
// its type: it would move loads of codewords into each use, and spread row pointers over more registers than there are.
#if defined(_MSC_VER) && !defined(__clang__)
#define CODEWORD_KEEP(letter, value) ((void)0)
#else
#define CODEWORD_KEEP(letter, value) __asm__("" : "+" letter(value))
#endif

template <class T>
CODEWORD_INLINE T hide(T value) {
  CODEWORD_KEEP("r", value);
  return value;
}

#if defined(__AVX512F__)
#include "simd_avx512.h"
#elif defined(__AVX2__)
#include "simd_avx2.h"
#elif defined(__aarch64__) || defined(_M_ARM64)
#include "simd_neon.h"
#else
#include "simd_sse42.h"
#endif

constexpr int64_t kTileRows = 6;

CODEWORD_INLINE float min_of(float a, float b) { return b < a ? b : a; }
CODEWORD_INLINE float max_of(float a, float b) { return a < b ? b : a; }
CODEWORD_INLINE int64_t min_of(int64_t a, int64_t b) { return b < a ? b : a; }
CODEWORD_INLINE int64_t max_of(int64_t a, int64_t b) { return a < b ? b : a; }
CODEWORD_INLINE double max_of(double a, double b) { return a < b ? b : a; }
CODEWORD_INLINE int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

CODEWORD_INLINE void prefetch(const void* p) {
#if !defined(_MSC_VER) || defined(__clang__)
  __builtin_prefetch(p, 0, 2);
#elif defined(_M_X64)
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
#endif
}

CODEWORD_INLINE int lowest_bit(uint64_t bits) {
#if defined(_MSC_VER) && !defined(__clang__)
  unsigned long index;
  _BitScanForward64(&index, bits);
  return static_cast<int>(index);
#else
  return __builtin_ctzll(bits);
#endif
}

CODEWORD_INLINE int64_t count_bits(uint64_t bits) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_ARM64)
  return _CountOneBits64(bits);
#else
  return static_cast<int64_t>(__popcnt64(bits));
#endif
#else
  return __builtin_popcountll(bits);
#endif
}
