// rotate_rows: random rotations of rows, made of permutations, signs and Walsh-Hadamard transforms
// (codeword.transforms.rotation), a row at a time in the L1 cache. round_rows: rows as bytes with a scale each.

inline void scale_window(float* CODEWORD_RESTRICT row, const float* CODEWORD_RESTRICT signs, int64_t length) {
  for (int64_t j = 0; j < length; ++j) row[j] *= signs[j];
}

inline void rotate_window(float* row, const RotationWindow& window, bool inverse) {
  float* at = row + window.start;
  if (!inverse) scale_window(at, window.signs, window.length);
  hadamard(at, 1, window.length);
  if (inverse) scale_window(at, window.signs, window.length);
}

int64_t rotate_rows(const RotationPlan& plan, float* rows, int64_t n, bool inverse, void* scratch) {
  Carver carver = {static_cast<char*>(scratch)};
  float* CODEWORD_RESTRICT copy = carver.take<float>(plan.d);
  if (!scratch) return carver.used;
  for (float* row = rows; row < rows + n * plan.d; row += plan.d) {
    for (int64_t s = 0; s < plan.steps; ++s) {
      const RotationStep& step = plan.steps_of[inverse ? plan.steps - 1 - s : s];
      const int32_t* CODEWORD_RESTRICT from = step.permutation;
      if (from && !inverse) {
        __builtin_memcpy(copy, row, plan.d * sizeof(float));
        for (int64_t j = 0; j < plan.d; ++j) row[j] = copy[from[j]];
      }
      for (int64_t w = 0; w < step.windows; ++w) {
        rotate_window(row, step.window[inverse ? step.windows - 1 - w : w], inverse);
      }
      if (from && inverse) {
        __builtin_memcpy(copy, row, plan.d * sizeof(float));
        for (int64_t j = 0; j < plan.d; ++j) row[from[j]] = copy[j];
      }
    }
  }
  return carver.used;
}

void round_rows(const float* x, int64_t n, int64_t d, int8_t* bytes, int64_t stride, float* scales, int32_t* sums) {
  constexpr int64_t kStep = 4 * kLanes;
  constexpr uint32_t kAll = (1u << kLanes) - 1;
  const Words zero = to_words(splat(128));
  for (int64_t i = 0; i < n; ++i, x += d, bytes += stride) {
    F32 largest = splat(0.0f);
    uint32_t finite = kAll;
    for (int64_t j = 0; j < d; j += kLanes) {
      const F32 value = abs(j + kLanes <= d ? load(x + j) : load_first(x + j, d - j));
      finite &= le_bits(value, splat(0x1.fffffep127f));
      largest = max(largest, value);
    }
    const float most = lane_max(largest), inverse = most >= 0x1p-100f ? 127 / most : 0.0f;
    scales[i] = finite == kAll ? most * (1.0f / 127) : __builtin_nanf("");
    int32_t sum = 0;
    for (int64_t j = 0; j < stride; j += kStep) {
      Words rounded[4];
      for (int64_t v = 0; v < 4; ++v) {
        const int64_t at = j + v * kLanes;
        const F32 value = at + kLanes <= d ? load(x + at) : at < d ? load_first(x + at, d - at) : splat(0.0f);
        rounded[v] = add(to_words(to_int(mul(value, splat(inverse)))), zero);
      }
      uint8_t packed[kStep];  // plus 128: narrowing may saturate
      store_bytes(packed, rounded);
      const int64_t count = min_of(kStep, stride - j);
      for (int64_t l = 0; l < count; ++l) {
        bytes[j + l] = static_cast<int8_t>(packed[l] - 128);
        sum += bytes[j + l];
      }
    }
    sums[i] = sum;
  }
}
