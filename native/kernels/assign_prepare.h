// Packs a codebook for the filters and derives their error bounds (docs/exactness.md).

constexpr float kLargestNorm = 1099511627776.0f;  // 2^40 radii: rows farther out than that are compared exactly
constexpr double kU32 = 0x1p-24, kU64 = 0x1p-53;  // unit roundoffs

// Hands out 64-byte aligned pieces of one block of storage; with a null block it only counts.
struct Carver {
  char* base;
  int64_t used = 0;

  template <class T>
  T* take(int64_t n) {
    T* piece = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += round_up(n * static_cast<int64_t>(sizeof(T)), 64);
    return piece;
  }
};

// 2^e for -126 <= e <= 127.
inline float power_of_two(int e) {
  const uint32_t bits = static_cast<uint32_t>(e + 127) << 23;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// The e with 2^(e - 1) <= a < 2^e; very small for zero.
inline int exponent_of(double a) {
  uint64_t bits;
  __builtin_memcpy(&bits, &a, sizeof bits);
  return static_cast<int>(bits >> 52 & 2047) - 1022;
}

// Sizes, in scaled units, that the error bounds are made of.
struct CodebookShape {
  double radius;  // the largest |c| after centring
  double norm;    // the largest |c| before
  double centre;  // |centre|
};

// centre = the mean codeword, in float32.
inline void find_centre(const AssignCodebook& book, double* sums) {
  for (int64_t i = 0; i < book.d; ++i) sums[i] = 0;
  for (int64_t c = 0; c < book.k; ++c) {
    for (int64_t i = 0; i < book.d; ++i) sums[i] += book.codewords[c * book.d + i];
  }
  for (int64_t i = 0; i < book.d; ++i) book.centre[i] = static_cast<float>(sums[i] / static_cast<double>(book.k));
}

// The power of two that makes the radius about 1 but no coordinate of the centre larger than 2^100.
inline float find_scale(const AssignCodebook& book) {
  double radius = 0, centre = 0;
  for (int64_t c = 0; c < book.k; ++c) {
    double square = 0;
    for (int64_t i = 0; i < book.d; ++i) {
      const double difference = static_cast<double>(book.codewords[c * book.d + i]) - book.centre[i];
      square += difference * difference;
    }
    radius = max_of(radius, square);
  }
  for (int64_t i = 0; i < book.d; ++i) centre = max_of(centre, static_cast<double>(book.centre[i]) * book.centre[i]);
  int exponent = exponent_of(sqrt_of(radius));
  const int least = exponent_of(sqrt_of(centre)) - 100;
  if (exponent < least) exponent = least;
  if (exponent < -126) exponent = -126;
  if (exponent > 126) exponent = 126;
  return power_of_two(-exponent);
}

// Coordinate i of codeword c as the filters see it. `centre` holds the scaled centre, negated.
CODEWORD_INLINE double centred(const AssignCodebook& book, int64_t c, int64_t i) {
  return static_cast<double>(book.codewords[c * book.d + i]) * book.scale + book.centre[i];
}

inline CodebookShape centre_codebook(AssignCodebook& book, double* work) {
  find_centre(book, work);
  book.scale = find_scale(book);
  CodebookShape shape = {0, 0, 0};
  for (int64_t i = 0; i < book.d; ++i) {
    book.centre[i] = -book.centre[i] * book.scale;
    shape.centre += static_cast<double>(book.centre[i]) * book.centre[i];
  }
  for (int64_t i = book.d; i < round_up(book.d, kLanes); ++i) book.centre[i] = 0;
  for (int64_t c = 0; c < book.k; ++c) {
    book.norms[c] = exact_dot(book.codewords + c * book.d, book.codewords + c * book.d, book.d);
    shape.norm = max_of(shape.norm, book.norms[c]);
    double square = 0;
    for (int64_t i = 0; i < book.d; ++i) square += centred(book, c, i) * centred(book, c, i);
    shape.radius = max_of(shape.radius, square);
  }
  const double up = 1 + 0x1p-30;  // more than the roundings of the float64 sums above, for d < 2^22
  shape = {sqrt_of(shape.radius) * up, sqrt_of(shape.norm) * book.scale * up, sqrt_of(shape.centre) * up};
  return shape;
}

// The exact form is itself rounded: its scores differ from the real ones by at most this, times |c|^2 + 2 |x| |c|. Each
// of its eight lanes adds ceil(d / 8) exact products; three more additions join the lanes, one joins <c, c> and <x, c>.
inline double exact_form_error(int64_t d) { return 1.01 * kU64 * (static_cast<double>((d + 7) / 8) + 8); }

// Adds what every filter's slack has in common: the rounding of the exact form itself (its scores decide, so the filter
// must bound those, not the real ones) and underflow; then doubles, and covers the rounding of norms and of the slack.
inline void finish_bound(AssignFilter& filter, const CodebookShape& shape, int64_t d) {
  const double dd = static_cast<double>(d);
  const double exact = exact_form_error(d), underflow = (dd + 16) * 0x1p-120;
  filter.base += exact * shape.norm * (shape.norm + 2 * shape.centre) + underflow;
  filter.per_norm += exact * 2 * shape.norm + underflow;
  const double up = 1 + 2 * (dd + 64) * kU32;
  filter.per_norm *= 2 * up;
  filter.per_residual *= 2 * up;
  filter.base = 2 * up * (filter.base + (filter.per_norm + filter.per_residual) * dd * 0x1p-70);
}

inline void pack_f32(AssignCodebook& book, const CodebookShape& shape) {
  const int64_t k = book.k, d = book.d, width = book.panel_vectors * kLanes;
  float* panels = static_cast<float*>(book.f32.panels);
  float* offsets = static_cast<float*>(book.f32.offsets);
  for (int64_t c = 0; c < round_up(k, width); ++c) {
    float* column = panels + c / width * d * width + c % width;
    double square = 0;
    for (int64_t i = 0; i < d; ++i) {
      const double value = c < k ? centred(book, c, i) : 0;
      square += value * value;
      column[i * width] = static_cast<float>(-2 * value);
    }
    offsets[c] = c < k ? static_cast<float>(square) : VectorOf<float>::kMost;
  }
  const double gamma = 1.01 * kU32 * static_cast<double>(d + 16);
  book.f32.base = gamma * shape.radius * shape.radius;
  book.f32.per_norm = gamma * 2 * shape.radius;
  book.f32.per_residual = 0;
  finish_bound(book.f32, shape, d);
}
