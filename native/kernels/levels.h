// Nearest levels of coordinates. The definition: `thresholds` (d, step) holds, ascending, the largest float32 that is
// no nearer to level c + 1 than to level c (infinity where there is no such level), and the index of x is the number of
// thresholds below x. Both kernels return exactly that; they differ in how they find it.

// Thresholds below x among kSize - 1 of them, kSize a power of two: a binary search without branches.
template <int kSize>
CODEWORD_INLINE int64_t thresholds_below(const float* thresholds, float x) {
  int64_t found = 0;
  CODEWORD_UNROLL
  for (int half = kSize / 2; half > 0; half /= 2) found += half * (x > thresholds[found + half - 1]);
  return found;
}

// Evenly spaced levels of 4 * kLanes coordinates: y = (x - low) * inverse, clamped to [0, top] and rounded. Returns a
// bit for each coordinate whose y lies further than `sure` from that integer: there the rounding errors of y could
// matter.
CODEWORD_INLINE uint64_t place(const float* x, const float* affine, int64_t step, uint8_t* indices) {
  Words index[4];
  uint64_t known = 0;
  for (int v = 0; v < 4; ++v, x += kLanes, affine += kLanes) {
    const F32 y = mul(sub(load(x), load(affine)), load(affine + step));
    const F32 clamped = min(max(y, splat(0.0f)), load(affine + 2 * step));
    const I32 nearest = to_int(clamped);
    index[v] = to_words(nearest);
    known |= uint64_t(le_bits(abs(sub(clamped, to_float(nearest))), load(affine + 3 * step))) << (v * kLanes);
  }
  store_bytes(indices, index);
  return ~known & (~uint64_t(0) >> (64 - 4 * kLanes));
}

// affine (4, step): low, inverse, top, sure; step is d rounded up to 64, the rest zero. `thresholds` (d, 256), infinity
// after those there are.
void nearest_even(const float* rows, int64_t n, int64_t d, const float* affine, int64_t step, const float* thresholds,
                  uint8_t* indices) {
  const auto decide = [&](uint64_t unsure, int64_t j) {
    for (; unsure; unsure &= unsure - 1) {
      const int64_t k = j + lowest_bit(unsure);
      if (k < d) indices[k] = static_cast<uint8_t>(thresholds_below<256>(thresholds + 256 * k, rows[k]));
    }
  };
  for (int64_t i = 0; i < n; ++i, rows += d, indices += d) {
    int64_t j = 0;
    for (; j + 4 * kLanes <= d; j += 4 * kLanes) decide(place(rows + j, affine + j, step, indices + j), j);
    if (j == d) continue;
    float x[4 * kLanes] = {};
    uint8_t found[4 * kLanes];
    __builtin_memcpy(x, rows + j, (d - j) * sizeof(float));
    const uint64_t unsure = place(x, affine + j, step, found);
    __builtin_memcpy(indices + j, found, d - j);
    decide(unsure, j);
  }
}

// Any levels: `coarse` (15, d) holds thresholds 15, 31, ..., 239 of each coordinate or, where `fine` is null, the 15
// there are; they are counted in chunks of 64 coordinates, then 15 of `fine` (d, 256) are searched.
void nearest_sorted(const float* rows, int64_t n, int64_t d, const float* coarse, const float* fine, uint8_t* indices) {
  constexpr int64_t kChunk = 64;
  for (int64_t i = 0; i < n; ++i, rows += d, indices += d) {
    for (int64_t at = 0; at < d; at += kChunk) {
      const int64_t count = min_of(kChunk, d - at);
      const float* x = rows + at;
      int32_t found[kChunk] = {};
      for (int64_t t = 0; t < 15; ++t) {
        const float* threshold = coarse + t * d + at;
        if (count == kChunk) {
          for (int64_t j = 0; j < kChunk; ++j) found[j] += x[j] > threshold[j];
        } else {
          for (int64_t j = 0; j < count; ++j) found[j] += x[j] > threshold[j];
        }
      }
      for (int64_t j = 0; j < count; ++j) {
        const int64_t first = 16 * found[j];
        indices[at + j] =
            static_cast<uint8_t>(fine ? first + thresholds_below<16>(fine + 256 * (at + j) + first, x[j]) : found[j]);
      }
    }
  }
}
