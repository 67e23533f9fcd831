// Fast Walsh-Hadamard transform, unnormalised. Stage by stage at distance 1, 2, 4, ... each pair (a, b) becomes
// (a + b, a - b). Stages run inside blocks that fit the L1 cache first; the order of the additions that make one output
// does not change with the blocking, so neither does the result.

constexpr int64_t kHadamardBlock = 4096;  // floats: 16 KiB

inline void hadamard_stage(float* row, int64_t length, int64_t distance) {
  for (int64_t start = 0; start < length; start += 2 * distance) {
    float* low = row + start;
    float* high = low + distance;
    for (int64_t i = 0; i < distance; ++i) {
      const float a = low[i], b = high[i];
      low[i] = a + b;
      high[i] = a - b;
    }
  }
}

void hadamard(float* rows, int64_t n, int64_t length) {
  for (int64_t i = 0; i < n; ++i, rows += length) {
    const int64_t block = length < kHadamardBlock ? length : kHadamardBlock;
    for (int64_t start = 0; start < length; start += block) {
      for (int64_t distance = 1; distance < block; distance *= 2) hadamard_stage(rows + start, block, distance);
    }
    for (int64_t distance = block; distance < length; distance *= 2) hadamard_stage(rows, length, distance);
  }
}
