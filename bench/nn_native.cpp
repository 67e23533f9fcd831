// What bench/nn.py speed compares the kernels with, compiled there for the machine at hand: the clock, reading memory,
// and a matrix of 4 bits times int8 activations.
#include <cstdint>
#include <ctime>
#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace {

double seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

// GHz: dependent additions take a cycle each.
extern "C" double clock_rate() {
  constexpr long kSteps = 4'000'000;
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const double start = seconds();
    long x = 1;
    for (long i = 0; i < kSteps; ++i) {
      x += i;
      __asm__ volatile("" : "+r"(x));
    }
    const double taken = seconds() - start;
    best = taken < best ? taken : best;
  }
  return kSteps / best * 1e-9;
}

extern "C" uint64_t read_bytes(const uint64_t* p, int64_t words) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= words; i += 8) {
    for (int j = 0; j < 8; ++j) sums[j] += p[i + j];
  }
  uint64_t sum = 0;
  for (uint64_t s : sums) sum += s;
  return sum;
}

// sums (rows) of levels 0 ... 15 times int8 x (columns). Weights: for each 64 rows and 8 columns 256 bytes, lane by
// lane four columns of a row, those of the next four in the upper halves of bytes. rows % 64 == 0, columns % 8 == 0.
extern "C" void multiply_int4(const uint8_t* weights, int64_t rows, int64_t columns, const int8_t* x, int32_t* sums) {
#if defined(__AVX512VNNI__)
  const auto* steps = reinterpret_cast<const int32_t*>(x);
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t r = 0; r < rows; r += 64) {
    __m512i acc[4] = {};
    for (int64_t c = 0; c < columns; c += 8, weights += 256) {
      const __m512i first = _mm512_set1_epi32(steps[c / 4]), second = _mm512_set1_epi32(steps[c / 4 + 1]);
      for (int v = 0; v < 4; ++v) {
        __builtin_prefetch(weights + 64 * v + 2048);
        const __m512i w = _mm512_loadu_si512(weights + 64 * v);
        acc[v] = _mm512_dpbusd_epi32(acc[v], _mm512_and_si512(w, low), first);
        acc[v] = _mm512_dpbusd_epi32(acc[v], _mm512_and_si512(_mm512_srli_epi16(w, 4), low), second);
      }
    }
    for (int v = 0; v < 4; ++v) _mm512_storeu_si512(sums + r + 16 * v, acc[v]);
  }
#else
  for (int64_t r = 0; r < rows; r += 64) {
    int32_t acc[64] = {};
    for (int64_t c = 0; c < columns; c += 8, weights += 256) {
      for (int l = 0; l < 64; ++l) {
        for (int i = 0; i < 4; ++i) {
          acc[l] += (weights[4 * l + i] & 15) * x[c + i] + (weights[4 * l + i] >> 4) * x[c + 4 + i];
        }
      }
    }
    for (int l = 0; l < 64; ++l) sums[r + l] = acc[l];
  }
#endif
}
