// Scores of codes whose reconstruction is low + step * symbol in every dimension: integer dot products with the
// symbols.
#pragma once

#include <cstdint>

namespace codeword {

// Codes (n, code_size) of symbols of 2, 4 or 8 bits and int16 weights laid out as kernels/fields.h describes: 8 / bits
// planes of `padded` = code_size rounded up to 32. No sum of weights times symbols may reach 2^31.
struct FieldCodes {
  const uint8_t* codes;
  int64_t n, code_size, padded;
  int bits;
};

// The squared norm of a row is constant + linear_unit * sums[0] - curved_unit * sums[1], with the sums of scan_squares.
struct FieldNorms {
  const int16_t *linear, *curved;
  double constant, linear_unit, curved_unit;
  bool cosine;
};

// score = float32(sum of weights[l] * symbols) * scale[l] + bias[l]; weights (q, planes, padded). out (q, n) = score,
// or with norms max(score + norm, 0), or max(score / sqrt(norm) + 1, 0) for cosine.
void scan_fields(const FieldCodes& codes, const int16_t* weights, int64_t q, const float* scale, const float* bias,
                 const FieldNorms* norms, float* out);

// sums (n, 2): of linear * c and of curved * c (2^bits - 1 - c) over the symbols c; linear, curved (planes, padded),
// curved at least 0, at most 65,536 symbols.
void scan_squares(const FieldCodes& codes, const int16_t* linear, const int16_t* curved, int64_t* sums);

}  // namespace codeword
