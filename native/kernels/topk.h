// Lists of the k nearest: the filter in front of them, and the last step from scores to distances.

// Writes the positions i, rising, with values[i] <= limit, and returns how many there are. Four vectors at a time,
// since nearly all are above the limit once a list is warm.
int64_t below(const float* values, int64_t n, float limit, int32_t* positions) {
  const F32 limits = splat(limit);
  int64_t count = 0, i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    uint64_t bits = 0;
    for (int64_t v = 0; v < 4; ++v) bits |= uint64_t(le_bits(load(values + i + v * kLanes), limits)) << (v * kLanes);
    for (; bits; bits &= bits - 1) positions[count++] = static_cast<int32_t>(i + lowest_bit(bits));
  }
  for (; i < n; ++i) {
    if (values[i] <= limit) positions[count++] = static_cast<int32_t>(i);
  }
  return count;
}

// values[i] = max(((values[i] + before) * factor[i] + term[i]) + after, floor), rounded at each step.
void rescale(float* values, int64_t n, float before, const float* factor, const float* term, float after, float floor) {
  int64_t i = 0;
  const F32 b = splat(before), a = splat(after), f = splat(floor);
  for (; i + kLanes <= n; i += kLanes) {
    const F32 moved = add(mul(add(load(values + i), b), load(factor + i)), load(term + i));
    store(values + i, max(add(moved, a), f));
  }
  for (; i < n; ++i) {
    const float moved = ((values[i] + before) * factor[i] + term[i]) + after;
    values[i] = moved > floor ? moved : floor;
  }
}
