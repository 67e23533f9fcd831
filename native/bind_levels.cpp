// encode_levels, decode_levels.
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bind.h"
#include "core/levels.h"

namespace codeword {
namespace {

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

LevelLayout layout_of(const Vector<const uint8_t>& bits) {
  const auto d = static_cast<int64_t>(bits.size());
  expect(d >= 1 && std::all_of(bits.data(), bits.data() + d, [](uint8_t b) { return b <= 8; }),
         "bits: expected widths from 0 to 8");
  return {d, bits.data()};
}

Matrix<uint8_t> encode(const Matrix<const float>& rows, const Vector<const uint8_t>& bits,
                       const Matrix<const float>& thresholds, const std::optional<Matrix<const float>>& affine) {
  const LevelLayout layout = layout_of(bits);
  const int64_t n = rows.shape(0), d = layout.d, step = (d + 63) / 64 * 64;
  expect(static_cast<int64_t>(rows.shape(1)) == d, "rows: expected one column for each width");
  expect(static_cast<int64_t>(thresholds.shape(0)) == d && thresholds.shape(1) == 256, "thresholds: expected (d, 256)");
  if (affine) {
    expect(affine->shape(0) == 4 && static_cast<int64_t>(affine->shape(1)) == step,
           "affine: expected (4, d rounded up to 64)");
  }
  const bool few = std::all_of(bits.data(), bits.data() + d, [](uint8_t b) { return b <= 4; });
  std::vector<float> coarse(affine ? 0 : 15 * d);
  for (int64_t t = 0; t < 15 && !affine; ++t) {
    for (int64_t j = 0; j < d; ++j) coarse[t * d + j] = thresholds.data()[256 * j + (few ? t : 16 * t + 15)];
  }
  Matrix<uint8_t> codes = make_matrix<uint8_t>(n, layout.code_size());
  nb::gil_scoped_release release;
  encode_levels(layout, {affine ? affine->data() : nullptr, coarse.data(), thresholds.data(), few}, rows.data(), n,
                codes.data());
  return codes;
}

Matrix<float> decode(const Matrix<const uint8_t>& codes, const Vector<const uint8_t>& bits,
                     const Matrix<const float>& levels) {
  const LevelLayout layout = layout_of(bits);
  const int64_t n = codes.shape(0), k = levels.shape(1);
  expect(static_cast<int64_t>(codes.shape(1)) == layout.code_size(), "codes: expected the code size of these bits");
  const int widest = *std::max_element(bits.data(), bits.data() + layout.d);
  expect(static_cast<int64_t>(levels.shape(0)) == layout.d && k >= int64_t(1) << widest,
         "levels: expected (d, 2^bits)");
  Matrix<float> rows = make_matrix<float>(n, layout.d);
  nb::gil_scoped_release release;
  decode_levels(layout, levels.data(), k, codes.data(), n, rows.data());
  return rows;
}

}  // namespace

void bind_levels(nb::module_& m) {
  using namespace nb::literals;
  m.def("encode_levels", &encode, "rows"_a.noconvert(), "bits"_a.noconvert(), "thresholds"_a.noconvert(),
        "affine"_a.noconvert() = nb::none(),
        "Packed codes (n, code_size) of rows (n, d) float32: coordinate j takes bits[j] bits (0 to 8) and is coded as\n"
        "the number of `thresholds` (d, 256), ascending, below it. `affine` (4, d rounded up to 64) holds low, 1 / "
        "step,\n"
        "largest index and how far from a half its estimate is sure, for evenly spaced levels.");
  m.def("decode_levels", &decode, "codes"_a.noconvert(), "bits"_a.noconvert(), "levels"_a.noconvert(),
        "Rows (n, d) float32 of packed codes: level levels[j, index] of each coordinate, levels[j, 0] for 0 bits.");
}

}  // namespace codeword
