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
inline float power_of_two(int e) { return __builtin_bit_cast(float, static_cast<uint32_t>(e + 127) << 23); }

// The e with 2^(e - 1) <= a < 2^e; very small for zero.
inline int exponent_of(double a) { return static_cast<int>(__builtin_bit_cast(uint64_t, a) >> 52 & 2047) - 1022; }

// Sizes, in scaled units, that the error bounds are made of, and room to work in.
struct CodebookShape {
  double radius;    // the largest |c| after centring
  double norm;      // the largest |c| before
  double centre;    // |centre|
  double rounding;  // how far a float64 codeword and its float32 form may differ; 0 without float64
  double unit;      // a row x and its float32 form differ by at most unit |x| + flushed
  double flushed;
  double* squares;  // (k) |c|^2 after centring, not scaled
  double* sums;     // (d)
  float* row;       // (d, rounded up to whole vectors)
};

// centre = the mean codeword, in float32.
inline void find_centre(const AssignCodebook& book, double* sums) {
  for (int64_t i = 0; i < book.d; ++i) sums[i] = 0;
  for (int64_t c = 0; c < book.k; ++c) {
    for (int64_t i = 0; i < book.d; ++i) sums[i] += book.codewords[c * book.d + i];
  }
  for (int64_t i = 0; i < book.d; ++i) book.centre[i] = static_cast<float>(sums[i] / static_cast<double>(book.k));
}

// The power of two that makes the radius about 1 but |centre| not larger than 2^100.
inline float find_scale(double radius, double centre) {
  int exponent = exponent_of(radius);
  const int least = exponent_of(centre) - 100;
  if (exponent < least) exponent = least;
  if (exponent < -126) exponent = -126;
  if (exponent > 126) exponent = 126;
  return power_of_two(-exponent);
}

// Finds centre, scale, norms and shape. Afterwards book.centre is scaled and negated.
inline void centre_codebook(AssignCodebook& book, CodebookShape& shape) {
  find_centre(book, shape.sums);
  double radius = 0, norm = 0;
  for (int64_t c = 0; c < book.k; ++c) {
    const float* codeword = book.codewords + c * book.d;
    book.norms[c] = book.wide ? exact_dot(book.wide + c * book.d, book.wide + c * book.d, book.d)
                              : exact_dot(codeword, codeword, book.d);
    shape.squares[c] = exact_sqdist(codeword, book.centre, book.d);
    norm = max_of(norm, book.norms[c]);
    radius = max_of(radius, shape.squares[c]);
  }
  const double centre = sqrt_of(exact_dot(book.centre, book.centre, book.d));
  radius = sqrt_of(radius);
  book.scale = find_scale(radius, centre);
  for (int64_t i = 0; i < book.d; ++i) book.centre[i] = -book.centre[i] * book.scale;
  for (int64_t i = book.d; i < round_up(book.d, kLanes); ++i) book.centre[i] = 0;
  // `up` is more than the roundings of the float64 sums above, for d < 2^22; 2^-100 more than the centre's underflow.
  const double up = book.scale * (1 + 0x1p-30), tiny = 0x1p-100;
  shape.radius = radius * up + tiny;
  shape.norm = sqrt_of(norm) * up;
  shape.rounding = shape.unit = shape.flushed = 0;
  if (book.wide) {
    shape.unit = 1.01 * kU32;
    shape.flushed = book.scale * sqrt_of(static_cast<double>(book.d)) * 0x1p-148;
    shape.norm = shape.norm * (1 + 2 * kU32) + shape.flushed;
    shape.rounding = shape.unit * shape.norm + shape.flushed;
  }
  shape.centre = centre * up + tiny;
}

// kLanes coordinates of a row or codeword x, from the i-th, as the filters see them: centred, scaled, zero beyond d.
CODEWORD_INLINE F32 centred(const AssignCodebook& book, const float* x, int64_t i) {
  const F32 value = book.d - i < kLanes ? load_first(x + i, book.d - i) : load(x + i);
  return muladd(value, splat(book.scale), load(book.centre + i));
}

// The exact form is itself rounded: its scores differ from the real ones by at most this, times |c|^2 + 2 |x| |c|. Each
// of its eight lanes adds ceil(d / 8) exact products; three more additions join the lanes, one joins <c, c> and <x, c>.
inline double exact_form_error(int64_t d) { return 1.01 * kU64 * (static_cast<double>((d + 7) / 8) + 8); }

// What the rounding of float64 rows and codewords to float32, which the filters see, changes a score by: at most
// base + per_norm |x|, x centred (docs/exactness.md, float64).
struct RoundingError {
  double base, per_norm;
};
inline RoundingError rounding_error(const CodebookShape& shape) {
  const double cross = shape.rounding + shape.unit * (shape.norm + shape.rounding);
  return {1.01 * (2 * shape.norm * shape.rounding + shape.rounding * shape.rounding + 2 * shape.centre * cross +
                  2 * shape.flushed * (shape.norm + shape.rounding)),
          1.01 * 2 * cross};
}

// Adds what every filter's slack has in common: the rounding of the exact form itself (its scores decide, so the filter
// must bound those, not the real ones) and underflow; then doubles, and covers the rounding of norms and of the slack.
inline void finish_bound(AssignFilter& filter, const CodebookShape& shape, int64_t d) {
  const double dd = static_cast<double>(d);
  const double exact = exact_form_error(d), underflow = (dd + 16) * 0x1p-120;
  const RoundingError wide = rounding_error(shape);
  filter.base += exact * shape.norm * (shape.norm + 2 * shape.centre) + underflow + wide.base;
  filter.per_norm += exact * 2 * shape.norm + underflow + wide.per_norm;
  const double up = 1 + 2 * (dd + 64) * kU32;
  filter.per_norm *= 2 * up;
  filter.per_residual *= 2 * up;
  filter.base = 2 * up * (filter.base + (filter.per_norm + filter.per_residual) * dd * 0x1p-70);
}
