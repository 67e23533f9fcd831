// The class Signs; sign_codes, grid_codes.
#include <nanobind/stl/pair.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "bind.h"
#include "core/signs.h"

namespace codeword {
namespace {

void expect(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

void make(Signs* self, const Matrix<const int8_t>& weights) {
  const auto q = static_cast<int64_t>(weights.shape(0)), d = static_cast<int64_t>(weights.shape(1));
  expect(d >= 1, "weights: expected at least one column");
  for (int64_t i = 0; i < q * d; i += d) {
    for (int64_t j = 0; j < d; j += 8) {
      int sum = 0;
      for (int64_t t = j; t < j + 8 && t < d; ++t) sum += std::abs(static_cast<int>(weights.data()[i + t]));
      expect(sum <= 127, "weights: expected eight that share a byte to sum to at most 127");
    }
  }
  nb::gil_scoped_release release;
  new (self) Signs(weights.data(), q, d);
}

Matrix<float> scan(const Signs& self, const Matrix<const uint8_t>& codes, const Vector<const float>& scale,
                   const Vector<const float>& bias, const Vector<const float>& after, const Vector<const float>& first,
                   const Vector<const float>& second, const Vector<const float>& terms, float floor) {
  expect(static_cast<int64_t>(codes.shape(1)) == self.signs_size() + 2, "codes: expected the signs and two side bytes");
  const auto q = static_cast<size_t>(self.q());
  expect(scale.size() == q && bias.size() == q && after.size() == q, "scale, bias, after: expected one a query");
  expect(first.size() == 256 && second.size() == 256 && terms.size() == 256, "first, second, terms: expected 256 each");
  Matrix<float> out = make_matrix<float>(self.q(), codes.shape(0));
  nb::gil_scoped_release release;
  self.scan(codes.data(), codes.shape(0),
            {scale.data(), bias.data(), after.data(), first.data(), second.data(), terms.data(), floor}, out.data());
  return out;
}

Matrix<double> signs_of(const Matrix<const float>& x, const Matrix<uint8_t>& codes) {
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  expect(codes.shape(0) == x.shape(0) && static_cast<int64_t>(codes.shape(1)) >= (d + 7) / 8,
         "codes: expected a row for each of x, with a bit for each column");
  Matrix<double> sums = make_matrix<double>(n, 2);
  nb::gil_scoped_release release;
  sign_codes(x.data(), n, d, codes.data(), codes.shape(1), sums.data());
  return sums;
}

std::pair<Matrix<uint8_t>, Matrix<double>> grid_of(const Matrix<const float>& x, int bits) {
  expect(bits >= 2 && bits <= 8, "bits: expected 2 to 8");
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  Matrix<uint8_t> indices = make_matrix<uint8_t>(n, d);
  Matrix<double> sums = make_matrix<double>(n, 2);
  {
    nb::gil_scoped_release release;
    grid_codes(x.data(), n, d, bits, indices.data(), sums.data());
  }
  return {indices, sums};
}

}  // namespace

void bind_signs(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Signs>(m, "Signs", "Whole weights of queries that score codes of a bit a coordinate and two side bytes.")
      .def("__init__", &make, "weights"_a.noconvert(),
           "weights (q, d) int8; the absolute weights of each eight coordinates that share a byte sum to at most 127.")
      .def("scan", &scan, "codes"_a.noconvert(), "scale"_a.noconvert(), "bias"_a.noconvert(), "after"_a.noconvert(),
           "first"_a.noconvert(), "second"_a.noconvert(), "terms"_a.noconvert(), "floor"_a,
           "max(((sum of the weights of set bits * scale + bias) * factor + term) + after, floor), float32 (q, n), "
           "with\n"
           "factor = first[b0] * second[b1] and term = terms[b0] for the last two bytes b0, b1 of a code.");
  m.def(
      "sign_codes", &signs_of, "x"_a.noconvert(), "codes"_a.noconvert(),
      "Write a bit for each column of x (n, d) into `codes` (n, at least d / 8): set where x >= 0. Returns <x, x> and\n"
      "the sum of |x| (n, 2), float64 in lane order.");
  m.def(
      "grid_codes", &grid_of, "x"_a.noconvert(), "bits"_a,
      "Indices (n, d) uint8 below 2^bits and <x, x>, <x, u> (n, 2), u = 2 * index + 1 - 2^bits: the direction of u is\n"
      "the nearest to that of x among all roundings of t x, t > 0, to odd integers.");
}

}  // namespace codeword
