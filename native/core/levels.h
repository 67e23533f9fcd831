// Codes of rows whose coordinates are rounded to levels one by one, a width of 0 to 8 bits for each.
#pragma once

#include <cstdint>

namespace codeword {

// How the d coordinates of a row are packed: bits (d), 0 to 8 each; coordinates of 0 bits take no room.
struct LevelLayout {
  int64_t d;
  const uint8_t* bits;
  int64_t code_size() const;
};

// Which level is nearest: see kernels/levels.h. `affine` (4, d rounded up to 64) for evenly spaced levels, or null.
struct NearestLevel {
  const float* affine;
  const float* coarse;      // (15, d), where affine is null
  const float* thresholds;  // (d, 256)
  bool few;                 // at most 16 levels a coordinate: `coarse` holds all thresholds
};

// codes (n, code_size) of rows (n, d).
void encode_levels(const LevelLayout& layout, const NearestLevel& nearest, const float* rows, int64_t n,
                   uint8_t* codes);

// rows (n, d) of codes (n, code_size); levels (d, k), k at least 2^bits[j].
void decode_levels(const LevelLayout& layout, const float* levels, int64_t k, const uint8_t* codes, int64_t n,
                   float* rows);

}  // namespace codeword
