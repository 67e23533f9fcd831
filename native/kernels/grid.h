// Codes of several bits a coordinate whose direction is nearest to a row's, among all that rounding t x to the odd
// integers -(2^bits - 1) .. 2^bits - 1 gives for any t > 0. Source: Gao et al. 2024, extended RaBitQ: a sweep of t over
// the values where a coordinate changes.
//
// In whole numbers: y = |x| in units of max |x| / 65535, u = 2 c + 1 with 0 <= c <= top = 2^(bits - 1) - 1. Coordinate
// j goes from c = k - 1 to k at t = k / y[j], which adds 2 y[j] to S = <y, u> and 8 k to N = <u, u>. The first maximum
// of S S / N in the order of (t, j) wins. k / y in float64 tells any two different quotients apart: they differ by
// 2^-23 of themselves or more. S is below 2^45; only the two roundings of S S / N are not exact, the same everywhere.

struct GridEvent {
  double t;
  int32_t j, k;
};

struct GridScratch {
  int32_t *y, *c, *ends;
  GridEvent *events, *sorted;
  float* u;
  int64_t room;  // events
};

// Events of one step of the sweep, about: few enough to stay in cache, and worth a pass over the coordinates.
CODEWORD_INLINE int64_t grid_step(int64_t d) { return max_of(int64_t(1024), d); }

inline int64_t carve_grid(int64_t d, void* memory, GridScratch& g) {
  Carver carver = {static_cast<char*>(memory)};
  g.room = grid_step(d) + 2 * d + 64;
  g.y = carver.take<int32_t>(d);
  g.c = carver.take<int32_t>(d);
  g.u = carver.take<float>(d);
  g.events = carver.take<GridEvent>(g.room);
  g.sorted = carver.take<GridEvent>(g.room);
  g.ends = carver.take<int32_t>(grid_step(d) + 1);
  return carver.used;
}

CODEWORD_INLINE bool before(const GridEvent& a, const GridEvent& b) { return a.t < b.t || (a.t == b.t && a.j < b.j); }

// Sorts `count` events with t from `from` to `to`: into buckets of equal width, then by insertion.
inline void sort_events(const GridScratch& g, int64_t count, double from, double to, int64_t buckets) {
  const double scale = static_cast<double>(buckets) / (to - from);
  const auto bucket = [&](double t) { return min_of(static_cast<int64_t>((t - from) * scale), buckets - 1); };
  __builtin_memset(g.ends, 0, (buckets + 1) * sizeof(int32_t));
  for (int64_t e = 0; e < count; ++e) ++g.ends[bucket(g.events[e].t) + 1];
  for (int64_t b = 0; b < buckets; ++b) g.ends[b + 1] += g.ends[b];
  for (int64_t e = 0; e < count; ++e) g.sorted[g.ends[bucket(g.events[e].t)]++] = g.events[e];
  for (int64_t e = 1; e < count; ++e) {
    const GridEvent event = g.sorted[e];
    int64_t at = e;
    for (; at > 0 && before(event, g.sorted[at - 1]); --at) g.sorted[at] = g.sorted[at - 1];
    g.sorted[at] = event;
  }
}

struct GridSums {
  double s, n;
  double value() const { return s * s / n; }
};

// The best event of the sweep; k = 0 for none, all c = 0.
inline GridEvent best_event(int64_t d, int32_t top, const GridScratch& g) {
  double total = 0, live = 0;
  for (int64_t j = 0; j < d; ++j) {
    total += g.y[j];
    live += g.y[j] > 0;
    g.c[j] = 0;
  }
  GridSums now = {total, static_cast<double>(d)};
  GridEvent best = {0, 0, 0};
  double best_value = now.value(), from = 0;
  const double most = total * (2 * top + 1), width = static_cast<double>(grid_step(d)) / total;
  for (double left = live * top; left > 0;) {
    double next = 1e300;
    for (int64_t j = 0; j < d; ++j) {
      if (g.y[j] > 0 && g.c[j] < top) next = next < (g.c[j] + 1.0) / g.y[j] ? next : (g.c[j] + 1.0) / g.y[j];
    }
    from = from < next ? next : from;
    const double to = from + width;
    int64_t count = 0;
    for (int64_t j = 0; j < d; ++j) {
      if (g.y[j] == 0) continue;
      for (int32_t k = g.c[j] + 1; k <= top && static_cast<double>(k) / g.y[j] < to; ++k) {
        g.events[count++] = {static_cast<double>(k) / g.y[j], static_cast<int32_t>(j), k};
      }
    }
    sort_events(g, count, from, to, grid_step(d));
    for (int64_t e = 0; e < count; ++e) {
      const GridEvent& event = g.sorted[e];
      now.s += 2.0 * g.y[event.j];
      now.n += 8.0 * event.k;
      g.c[event.j] = event.k;
      if (now.value() > best_value) {
        best_value = now.value();
        best = event;
      }
    }
    left -= static_cast<double>(count);
    from = to;
    if (most * most / now.n < best_value * (1 - 1e-12)) break;  // S can grow to `most` only, and N only grows
  }
  return best;
}

// indices (n, d): c + 2^(bits - 1) where x >= 0, 2^(bits - 1) - 1 - c elsewhere. sums (n, 2) = <x, x> and <x, u> with
// the signs of x, float64 in lane order. With scratch null, returns the bytes of scratch it wants.
int64_t grid_codes(const float* x, int64_t n, int64_t d, int bits, uint8_t* indices, double* sums, void* scratch) {
  GridScratch g;
  const int64_t bytes = carve_grid(d, scratch, g);
  const int32_t half = 1 << (bits - 1);
  for (int64_t i = 0; scratch && i < n; ++i, x += d, indices += d, sums += 2) {
    float largest = 0;
    for (int64_t j = 0; j < d; ++j) largest = max_of(largest, x[j] < 0 ? -x[j] : x[j]);
    const double inverse = largest > 0 ? 65535.0 / static_cast<double>(largest) : 0.0;
    for (int64_t j = 0; j < d; ++j) {
      g.y[j] = static_cast<int32_t>(static_cast<double>(x[j] < 0 ? -x[j] : x[j]) * inverse + 0.5);
    }
    const GridEvent best = largest > 0 ? best_event(d, half - 1, g) : GridEvent{0, 0, 0};
    for (int64_t j = 0; j < d; ++j) {
      int32_t c = 0;
      if (best.k > 0 && g.y[j] > 0) {
        const auto reached = [&](int32_t k) {
          return k < half && !before(best, {static_cast<double>(k) / g.y[j], static_cast<int32_t>(j), k});
        };
        c = static_cast<int32_t>(min_of(static_cast<int64_t>(best.t * g.y[j]), int64_t(half - 1)));
        while (c > 0 && !reached(c)) --c;
        while (reached(c + 1)) ++c;
      }
      const int32_t index = x[j] >= 0 ? half + c : half - 1 - c;
      indices[j] = static_cast<uint8_t>(index);
      g.u[j] = static_cast<float>(2 * index + 1 - 2 * half);
    }
    sums[0] = exact_dot(x, x, d);
    sums[1] = exact_dot(x, g.u, d);
  }
  return bytes;
}
