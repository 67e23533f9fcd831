// The class Additive.
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/additive.h"

namespace codeword {
namespace {

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

void make(Additive* self, const Matrix<const float>& codebooks, int64_t m, const Vector<const float>& offset,
          int64_t depth) {
  const auto rows = static_cast<int64_t>(codebooks.shape(0)), d = static_cast<int64_t>(codebooks.shape(1));
  expect(m >= 1 && rows % m == 0 && rows > 0, "codebooks: expected m times as many rows as a codebook has");
  expect(static_cast<int64_t>(offset.size()) == d, "offset: expected one a column of codebooks");
  new (self) Additive(codebooks.data(), m, rows / m, d, offset.data(), depth);
}

void expect_indices(const Additive& self, const Matrix<const uint32_t>& indices) {
  expect(static_cast<int64_t>(indices.shape(1)) == self.m(),
         "indices: expected " + std::to_string(self.m()) + " columns");
  expect(std::all_of(indices.data(), indices.data() + indices.size(), [&](uint32_t i) { return i < self.k(); }),
         "indices: expected numbers below " + std::to_string(self.k()));
}

Matrix<uint32_t> encode(const Additive& self, const Matrix<const float>& x, int64_t beam, int64_t passes,
                        const std::optional<Matrix<const uint32_t>>& start) {
  expect(static_cast<int64_t>(x.shape(1)) == self.d(), "x: expected " + std::to_string(self.d()) + " columns");
  expect(beam >= 1 && beam <= kMostPaths && passes >= 1, "beam, passes: expected 1 to 64, and at least 1");
  if (start) {
    expect(start->shape(0) == x.shape(0), "start: expected a row for each row of x");
    expect_indices(self, *start);
  }
  Matrix<uint32_t> indices = make_matrix<uint32_t>(x.shape(0), self.m());
  if (start) std::copy_n(start->data(), start->size(), indices.data());
  nb::gil_scoped_release release;
  self.encode(x.data(), x.shape(0), beam, passes, start.has_value(), indices.data());
  return indices;
}

Matrix<float> decode(const Additive& self, const Matrix<const uint32_t>& indices) {
  expect_indices(self, indices);
  Matrix<float> x = make_matrix<float>(indices.shape(0), self.d());
  nb::gil_scoped_release release;
  self.decode(indices.data(), indices.shape(0), x.data());
  return x;
}

}  // namespace

void bind_additive(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Additive>(m, "Additive", "Codes that name a codeword in each of m codebooks: AdditiveCode in kernels.h.")
      .def("__init__", &make, "codebooks"_a.noconvert(), "m"_a, "offset"_a.noconvert(), "depth"_a,
           "Codebooks (m * k, d) float32, one after another, and an offset (d).")
      .def_prop_ro("scale", &Additive::scale)
      .def("encode", &encode, "x"_a.noconvert(), "beam"_a, "passes"_a, "start"_a.noconvert() = nb::none(),
           "Numbers (n, m) uint32 for rows (n, d) float32; given numbers to start from, none becomes worse.")
      .def("decode", &decode, "indices"_a.noconvert(), "Rows (n, d) float32 of numbers (n, m) uint32.");
}

}  // namespace codeword
