// Lattice codes (docs/lattice.md): eight coordinates are coded together, by the nearest of the vectors that
// permutations and changes of sign make of a few leaders. All in whole numbers.
//
// Only leaders need comparing: |y| sorted, a, meets each leader L as it lies, and <y, c> is at most <a, L>, attained
// with the signs of y. Leaders of odd shape have either an even or an odd number of minus signs; where y has the wrong
// number, its smallest coordinate changes sign, which costs 2 a[7] L[7]. A vector of kLanes blocks is coded at a time.
//
// <a, L> <= 8 * 32767 * 127 < 2^25, times 32 with the number of the leader below it: less than 2^30.

#if defined(__aarch64__) || defined(_M_ARM64)
CODEWORD_INLINE I32 to_ints(Words a) { return {vreinterpretq_s32_u32(a.v)}; }
CODEWORD_INLINE Words dot_pairs(Words acc, Words a, Words b) {  // dot_halves adds halves that are four lanes apart
  const int16x8_t x = vreinterpretq_s16_u32(a.v), y = vreinterpretq_s16_u32(b.v);
  const int32x4_t sums = vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
  return {vaddq_u32(acc.v, vreinterpretq_u32_s32(sums))};
}
#else
CODEWORD_INLINE I32 to_ints(Words a) { return {a.v}; }
CODEWORD_INLINE Words dot_pairs(Words acc, Words a, Words b) { return dot_halves(acc, a, b); }
#endif

CODEWORD_INLINE void sort_two(I32& larger, I32& smaller) {
  const I32 a = larger;
  larger = max(a, smaller);
  smaller = min(a, smaller);
}

// Batcher's network for eight.
CODEWORD_INLINE void sort_falling(I32 (&k)[8]) {
  sort_two(k[0], k[1]), sort_two(k[2], k[3]), sort_two(k[4], k[5]), sort_two(k[6], k[7]);
  sort_two(k[0], k[2]), sort_two(k[1], k[3]), sort_two(k[4], k[6]), sort_two(k[5], k[7]);
  sort_two(k[1], k[2]), sort_two(k[5], k[6]);
  sort_two(k[0], k[4]), sort_two(k[1], k[5]), sort_two(k[2], k[6]), sort_two(k[3], k[7]);
  sort_two(k[2], k[4]), sort_two(k[3], k[5]);
  sort_two(k[1], k[2]), sort_two(k[3], k[4]), sort_two(k[5], k[6]);
}

// The bits of `value` where `mask` has ones, pushed together.
CODEWORD_INLINE uint32_t compress_bits(uint32_t value, uint32_t mask) {
#if defined(__BMI2__)
  return _pext_u32(value, mask);
#else
  uint32_t out = 0;
  for (int at = 0; mask; mask &= mask - 1) out |= (value >> lowest_bit(mask) & 1) << at++;
  return out;
#endif
}

// The number of a vector: leader, where each group of its equal coordinates lies, signs. Position of the i-th largest
// coordinate: 7 - (keys[i * kLanes] & 7); a bit of `negative` for each coordinate below 0.
CODEWORD_INLINE uint32_t orbit_symbol(const OrbitBook& book, int64_t l, const int32_t* keys, uint32_t negative) {
  uint32_t before[9] = {};  // positions of the i largest
  for (int i = 0; i < 8; ++i) before[i + 1] = before[i] | 128u >> (keys[i * kLanes] & 7);
  uint32_t rank = 0, taken = 0;
  for (int g = 0; g < 3; ++g) {
    const uint32_t up_to = before[book.ends[3 * l + g]];
    rank += book.ranks[compress_bits(up_to ^ taken, 255 ^ taken)] * static_cast<uint32_t>(book.counts[3 * l + g]);
    taken = up_to;
  }
  if (book.parities[l] == 0) {
    const uint32_t used = before[book.nonzero[l]];
    return static_cast<uint32_t>(book.firsts[l]) + (rank << book.nonzero[l]) + compress_bits(negative, used);
  }
  if (count_bits(negative) % 2 != book.parities[l] - 1) negative ^= before[8] ^ before[7];
  return static_cast<uint32_t>(book.firsts[l]) + (rank << 7) + (negative & 127);
}

// y (n, width) = the integers nearest to (x - mean) inverse, from -32767 to 32767. The columns of a begun block stand
// in it as often as they fit, zeros follow: a block of little else than zeros is far from all vectors. mean, inverse
// (width
// + 16), zeros from d on; width a multiple of 8; y has room for 16 more.
void whole_blocks(const float* x, int64_t n, int64_t d, const float* mean, const float* inverse, int64_t width,
                  int32_t* y) {
  const F32 most = splat(32767.0f), least = splat(-32767.0f), far = splat(3e38f), minus_far = splat(-3e38f);
  for (int64_t i = 0; i < n; ++i, x += d, y += width) {
    for (int64_t j = 0; j < width; j += kLanes) {
      const F32 v = j + kLanes <= d ? load(x + j) : load_first(x + j, max_of(int64_t(0), d - j));
      const F32 from_mean = max(min(sub(v, load(mean + j)), far), minus_far);  // finite, so that times 0 is 0
      store(y + j, to_int(max(min(mul(from_mean, load(inverse + j)), most), least)));
    }
    const int64_t begun = d % 8, end = begun ? d - begun + 8 / begun * begun : d;
    for (int64_t j = d; j < end; ++j) y[j] = y[j - begun];
  }
}

// symbols[i]: the vector c, the first of equals in the order of the leaders, with the least |y - 2 steps[i] c| for the
// block y[8 i ... 8 i + 7], from -32767 to 32767; steps from 1 to 255.
void orbit_encode(const OrbitBook& book, const int32_t* y, const int32_t* steps, int64_t n, uint16_t* symbols) {
  for (int64_t start = 0; start < n; start += kLanes, y += 8 * kLanes) {
    const int64_t count = min_of(kLanes, n - start);
    int32_t keys[8 * kLanes] = {}, step[kLanes] = {}, parity[2][kLanes] = {}, found[kLanes];
    uint32_t negative[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      uint32_t below = 0;
      for (int32_t j = 0; j < 8; ++j) {
        const int32_t v = y[8 * i + j];
        below |= static_cast<uint32_t>(v < 0) << j;
        keys[j * kLanes + i] = (v < 0 ? -v : v) << 16 | (7 - j);
      }
      negative[i] = below;
      step[i] = steps[start + i];
      const int32_t odd = static_cast<int32_t>(count_bits(below) & 1);
      parity[0][i] = odd << 16;
      parity[1][i] = (odd ^ 1) << 16;
    }
    I32 k[8];
    for (int j = 0; j < 8; ++j) k[j] = load(keys + j * kLanes);
    sort_falling(k);
    Words pairs[4], against[3];
    for (int j = 0; j < 4; ++j) {
      pairs[j] = add(high_to_low(to_words(k[2 * j])), low_to_high(high_to_low(to_words(k[2 * j + 1]))));
    }
    const Words smallest = low_to_high(high_to_low(to_words(k[7])));
    against[0] = load_words(step);
    for (int p = 0; p < 2; ++p) against[p + 1] = add(against[0], mul_halves(smallest, load_words(parity[p])));
    I32 best = splat(INT32_MIN);
    for (int64_t l = 0; l < book.m; ++l) {
      Words score = dot_pairs(zero_words(), against[book.parities[l]], to_words(splat(book.against[l])));
      CODEWORD_UNROLL
      for (int j = 0; j < 4; ++j) score = dot_pairs(score, pairs[j], to_words(splat(book.pairs[4 * l + j])));
      best = max(best, to_ints(add(shift_left(score, 5), to_words(splat(static_cast<int32_t>(31 - l))))));
    }
    store(found, best);
    for (int j = 0; j < 8; ++j) store(keys + j * kLanes, k[j]);
    for (int64_t i = 0; i < count; ++i) {
      symbols[start + i] = static_cast<uint16_t>(orbit_symbol(book, 31 - (found[i] & 31), keys + i, negative[i]));
    }
  }
}

// The vectors of `count` symbols side by side; given `steps`, also the step of each symbol, eight times.
CODEWORD_INLINE void copy_words(const uint8_t* code, int64_t count, int64_t bytes, const int8_t* words, int8_t* out,
                                const int16_t* steps, uint8_t* step_bytes) {
  for (int64_t b = 0; b < count; ++b) {
    const uint32_t symbol = bytes == 1 ? code[b] : code[2 * b] | static_cast<uint32_t>(code[2 * b + 1]) << 8;
    __builtin_memcpy(out + 8 * b, words + 8 * symbol, 8);
    if (!steps) continue;
    const uint64_t eight = static_cast<uint64_t>(steps[symbol]) * 0x0101010101010101;
    __builtin_memcpy(step_bytes + 8 * b, &eight, 8);
  }
}

// values (n, 8 * blocks) of codes: 128 times the first stage's vector, and the second's times the step of the first.
void orbit_values(const LatticeCode& code, const uint8_t* codes, int64_t n, int16_t* values) {
  constexpr int64_t kChunk = 32;
  const int64_t size = code.blocks * (code.bytes[0] + code.bytes[1]);
  const bool two = code.bytes[1] > 0;
  for (int64_t i = 0; i < n; ++i, codes += size) {
    for (int64_t b = 0; b < code.blocks; b += kChunk) {
      const int64_t count = min_of(kChunk, code.blocks - b);
      int8_t first[8 * kChunk], second[8 * kChunk];
      uint8_t steps[8 * kChunk];
      copy_words(codes + b * code.bytes[0], count, code.bytes[0], code.words[0], first, two ? code.steps : nullptr,
                 steps);
      if (two) {
        const uint8_t* rest = codes + code.blocks * code.bytes[0] + b * code.bytes[1];
        copy_words(rest, count, code.bytes[1], code.words[1], second, nullptr, nullptr);
        for (int64_t j = 0; j < 8 * count; ++j) values[j] = static_cast<int16_t>(128 * first[j] + steps[j] * second[j]);
      } else {
        for (int64_t j = 0; j < 8 * count; ++j) values[j] = static_cast<int16_t>(128 * first[j]);
      }
      values += 8 * count;
    }
  }
}

template <int kQueries, int kRows>
CODEWORD_INLINE void halves_tile(const int16_t* values, const int16_t* weights, int64_t width,
                                 Words (&acc)[kRows][kQueries]) {
  for (int r = 0; r < kRows; ++r) {
    for (int l = 0; l < kQueries; ++l) acc[r][l] = zero_words();
  }
  for (int64_t at = 0; at < width; at += 2 * kLanes) {
    Words v[kRows];
    for (int r = 0; r < kRows; ++r) v[r] = load_words(values + r * width + at);
    for (int l = 0; l < kQueries; ++l) {
      const Words w = load_words(weights + l * width + at);
      for (int r = 0; r < kRows; ++r) acc[r][l] = dot_halves(acc[r][l], v[r], w);
    }
  }
}

// sums (n, 4) of rows of values with the weights of four queries, or (n) of one; width a multiple of 32, n of 4 for
// one.
void dot_values(const int16_t* values, int64_t n, int64_t width, const int16_t* weights, bool four, int32_t* sums) {
  constexpr int kRows = kLanes == 16 ? 4 : 2;
  int64_t i = 0;
  for (; four && i + kRows <= n; i += kRows) {
    Words acc[kRows][4];
    halves_tile<4, kRows>(values + i * width, weights, width, acc);
    for (int r = 0; r < kRows; ++r) sum_lanes(acc[r], sums + 4 * (i + r));
  }
  for (; four && i < n; ++i) {
    Words acc[1][4];
    halves_tile<4, 1>(values + i * width, weights, width, acc);
    sum_lanes(acc[0], sums + 4 * i);
  }
  for (; i < n; i += 4) {
    Words acc[4][1];
    halves_tile<1, 4>(values + i * width, weights, width, acc);
    sum_lanes({acc[0][0], acc[1][0], acc[2][0], acc[3][0]}, sums + i);
  }
}

// out[i] = sum over j of v (line[j] + square[j] v), v = values[i, j], in lane order; width a multiple of 8.
void value_norms(const int16_t* values, int64_t n, int64_t width, const double* line, const double* square,
                 double* out) {
  for (int64_t i = 0; i < n; ++i, values += width) {
    double sums[8] = {};
    for (int64_t j = 0; j < width; j += 8) {
      for (int l = 0; l < 8; ++l) {
        const double v = values[j + l];
        sums[l] += v * (line[j + l] + square[j + l] * v);
      }
    }
    for (int l = 0; l < 4; ++l) sums[l] += sums[l + 4];
    out[i] = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
}
