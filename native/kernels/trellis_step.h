// One step of the Viterbi search over a bitshift trellis: add, compare, select for all windows.
//
// Here a window is a number whose newest bit is its lowest: a step with E new bits makes window w of state w >> E, and
// a state for the next step, of which M new bits follow, is the lower L - M bits of w. So
//
//   next[s] = min over p < 2^M of old[w >> E] + cost[index(w)],  w = p << (L - M) | s,
//
// in bytes that saturate. index(w) = (w & 255) ^ fold[w >> 8] is linear; `blocks` says where the
// costs of each block of kByteLanes windows lie.

// States that are fewer than lanes, a power of two: the minimum over p is also one across the lanes.
inline void fold_lanes(uint8_t* lanes, uint8_t* next, int64_t states) {
  for (int64_t half = kByteLanes / 2; half >= states; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] = lanes[l + half] < lanes[l] ? lanes[l + half] : lanes[l];
  }
  __builtin_memcpy(next, lanes, states);
}

// The minimum over p of the windows from `w` on, `stride` apart, of kByteLanes states.
template <int E>
CODEWORD_INLINE Bytes least_of(const uint8_t* old, CostRow costs, const CostBlock* blocks, int64_t w, int64_t stride,
                               int64_t count, Bytes order) {
  Bytes least = splat_bytes(255);
  for (int64_t p = 0; p < count; ++p, w += stride) {
    const uint64_t block = static_cast<uint64_t>(w) / kByteLanes;
    const Bytes sum =
        add_saturated(expand<E>(old + (static_cast<uint64_t>(w) >> E), order), costs.block(blocks[block]));
    least = min(least, sum);
  }
  return least;
}

// The same where 2^E windows lead to a state and the states of a window are a multiple of 64: addresses advance evenly.
template <int E>
CODEWORD_INLINE Bytes least_of_even(const uint8_t* old, CostRow costs, const CostBlock* blocks, int64_t states,
                                    Bytes order) {
  Bytes least = splat_bytes(255);
  for (int p = 0; p < 1 << E; ++p, old += states >> E, blocks += states / kByteLanes) {
    least = min(least, add_saturated(expand<E>(old, order), costs.block(*blocks)));
  }
  return least;
}

// The same for windows of 8 bits, which are their indices: their costs are in order.
template <int E>
CODEWORD_INLINE Bytes least_of_plain(const uint8_t* old, const uint8_t* costs, int64_t states, Bytes order) {
  Bytes least = splat_bytes(255);
  for (int p = 0; p < 1 << E; ++p, old += states >> E, costs += states) {
    least = min(least, add_saturated(expand<E>(old, order), load_bytes(costs)));
  }
  return least;
}

// What a step needs of a row.
struct TrellisStep {
  const uint8_t* old;
  uint8_t* next;
  CostRow costs;
};

// The step of several rows, which do not wait for each other. M = 0 for any m: unrolled where as many bits follow as
// came in, which is nearly always.
template <int E, int M>
inline void trellis_step(const TrellisStep* rows, int64_t n, const CostBlock* blocks, int window, int m) {
  if (M) m = M;
  const int64_t states = int64_t(1) << (window - m), windows = int64_t(1) << window;
  const Bytes order = load_bytes(kExpandOrders.lanes[E]);
  for (int64_t r = 0; r < n; ++r) {
    const uint8_t* old = rows[r].old;
    uint8_t* next = rows[r].next;
    const CostRow costs = rows[r].costs;
    if (states < kByteLanes) {
      alignas(64) uint8_t lanes[kByteLanes];
      store_bytes(lanes, least_of<E>(old, costs, blocks, 0, kByteLanes, windows / kByteLanes, order));
      fold_lanes(lanes, next, states);
    } else if (M == E && states >= 64 && window == 8) {
      for (int64_t w = 0; w < states; w += kByteLanes) {
        store_bytes(next + w, least_of_plain<E>(old + (w >> E), costs.costs + w, states, order));
      }
    } else if (M == E && states >= 64) {
      for (int64_t w = 0; w < states; w += kByteLanes) {
        store_bytes(next + w, least_of_even<E>(old + (w >> E), costs, blocks + w / kByteLanes, states, order));
      }
    } else {
      for (int64_t w = 0; w < states; w += kByteLanes) {
        store_bytes(next + w, least_of<E>(old, costs, blocks, w, states, int64_t(1) << m, order));
      }
    }
  }
}

template <int E>
inline void trellis_step(const TrellisStep* rows, int64_t n, const CostBlock* blocks, int window, int m) {
  return m == E ? trellis_step<E, E>(rows, n, blocks, window, m) : trellis_step<E, 0>(rows, n, blocks, window, m);
}

inline void trellis_step(const TrellisStep* rows, int64_t n, const CostBlock* blocks, int window, int e, int m) {
  switch (e) {
    case 1:
      return trellis_step<1>(rows, n, blocks, window, m);
    case 2:
      return trellis_step<2>(rows, n, blocks, window, m);
    case 3:
      return trellis_step<3>(rows, n, blocks, window, m);
    case 4:
      return trellis_step<4>(rows, n, blocks, window, m);
    case 5:
      return trellis_step<5>(rows, n, blocks, window, m);
    default:
      return trellis_step<6>(rows, n, blocks, window, m);
  }
}

// Lanes beyond the states, where those are fewer than lanes, hold anything.
inline uint8_t least_metric(const uint8_t* metrics, int64_t states) {
  if (states < kByteLanes) {
    uint8_t least = metrics[0];
    for (int64_t s = 1; s < states; ++s) least = metrics[s] < least ? metrics[s] : least;
    return least;
  }
  Bytes least = load_bytes(metrics);
  for (int64_t s = kByteLanes; s < states; s += kByteLanes) least = min(least, load_bytes(metrics + s));
  return static_cast<uint8_t>(lane_min(least));
}

inline uint32_t first_least(const uint8_t* metrics, int64_t states) {
  const uint8_t least = least_metric(metrics, states);
  uint32_t s = 0;
  while (metrics[s] != least) ++s;
  return s;
}

// Subtracts the least metric from all, and returns it.
inline uint32_t lower_metrics(uint8_t* metrics, int64_t states) {
  const uint8_t lowest = least_metric(metrics, states);
  const Bytes least = splat_bytes(lowest);
  for (int64_t s = 0; s < states; s += kByteLanes) store_bytes(metrics + s, sub_bytes(load_bytes(metrics + s), least));
  return lowest;
}
