// See fields.h.
#include "core/fields.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kTileRows = 256;

// Calls f(codes, first row, rows) for the rows [first, last), of which those whose `padded` bytes would end beyond the
// codes are read from a copy.
template <class F>
void padded_rows(const FieldCodes& codes, int64_t first, int64_t last, F f) {
  const int64_t near_end = std::min(codes.n, (codes.padded - 1) / codes.code_size);
  const int64_t safe = std::clamp(codes.n - near_end, first, last);
  if (safe > first) f(codes.codes + first * codes.code_size, first, safe - first);
  if (safe == last) return;
  std::vector<uint8_t> copy((last - safe) * codes.code_size + codes.padded);
  std::copy(codes.codes + safe * codes.code_size, codes.codes + last * codes.code_size, copy.begin());
  f(copy.data(), safe, last - safe);
}

// What scores (n) become with the rows' norms: multiplied by factor[i], term[i] added.
void norm_terms(const FieldCodes& codes, const FieldNorms& norms, const uint8_t* rows, int64_t n, float* factor,
                float* term) {
  int64_t sums[2 * kTileRows];
  kernels().scan_squares(rows, n, codes.code_size, norms.linear, norms.curved, codes.padded, codes.bits, sums);
  for (int64_t i = 0; i < n; ++i) {
    const double square = norms.constant + norms.linear_unit * static_cast<double>(sums[2 * i]) -
                          norms.curved_unit * static_cast<double>(sums[2 * i + 1]);
    const double inverse = square > 0 ? 1 / std::sqrt(square) : 0;
    factor[i] = norms.cosine ? static_cast<float>(std::isfinite(inverse) ? inverse : 0) : 1.0f;
    term[i] = norms.cosine ? 1.0f : static_cast<float>(square);
  }
}

}  // namespace

void scan_fields(const FieldCodes& codes, const int16_t* weights, int64_t q, const float* scale, const float* bias,
                 const FieldNorms* norms, float* out) {
  const Kernels& table = kernels();
  const int64_t weights_a_query = 8 / codes.bits * codes.padded;
  parallel_rows(codes.n, kTileRows, [&](int64_t begin, int64_t end) {
    int32_t sums[4 * kTileRows];
    float factor[kTileRows], term[kTileRows];
    padded_rows(codes, begin, end, [&](const uint8_t* rows, int64_t first, int64_t n) {
      if (norms) norm_terms(codes, *norms, rows, n, factor, term);
      for (int64_t l = 0; l < q;) {
        const int64_t side = l + 4 <= q ? 4 : 1;
        table.scan_fields(rows, n, codes.code_size, weights + l * weights_a_query, codes.padded, codes.bits, side == 4,
                          sums);
        for (int64_t s = 0; s < side; ++s, ++l) {
          float* row = out + l * codes.n + first;
          for (int64_t i = 0; i < n; ++i) row[i] = static_cast<float>(sums[side * i + s]) * scale[l] + bias[l];
          if (norms) table.rescale(row, n, 0.0f, factor, term, 0.0f, 0.0f);
        }
      }
    });
  });
}

void scan_squares(const FieldCodes& codes, const int16_t* linear, const int16_t* curved, int64_t* sums) {
  const Kernels& table = kernels();
  parallel_rows(codes.n, kTileRows, [&](int64_t begin, int64_t end) {
    padded_rows(codes, begin, end, [&](const uint8_t* rows, int64_t first, int64_t n) {
      table.scan_squares(rows, n, codes.code_size, linear, curved, codes.padded, codes.bits, sums + 2 * first);
    });
  });
}

}  // namespace codeword
