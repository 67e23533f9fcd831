// The classes Rotation and PackedMatrix.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind.h"
#include "core/packed_matrix.h"
#include "core/rotation.h"
#include "dispatch.h"

namespace codeword {
namespace {

template <class T>
std::vector<T> copied(const Vector<const T>& a) {
  return std::vector<T>(a.data(), a.data() + a.size());
}

void check_size(size_t got, int64_t expected, const char* name) {
  if (static_cast<int64_t>(got) != expected) {
    throw std::invalid_argument(std::string(name) + " must have " + std::to_string(expected) + ", got " +
                                std::to_string(got));
  }
}

void append(Rotation& self, std::optional<Vector<const int32_t>> permutation,
            const std::vector<std::pair<int64_t, Vector<const float>>>& windows) {
  std::vector<std::pair<int64_t, std::vector<float>>> made;
  for (const auto& [start, signs] : windows) made.emplace_back(start, copied(signs));
  self.append(permutation ? copied(*permutation) : std::vector<int32_t>(), std::move(made));
}

void rotate(const Rotation& self, Matrix<float> rows, bool inverse) {
  check_size(rows.shape(1), self.d(), "columns of rows");
  nb::gil_scoped_release release;
  self.rotate(rows.data(), rows.shape(0), inverse);
}

void make(PackedMatrix* self, const Trellis& code, const Vector<const uint8_t>& values,
          const Vector<const uint8_t>& periods, int64_t rows, int64_t columns) {
  new (self) PackedMatrix(code, copied(values), copied(periods), rows, columns);
}

void check(const PackedMatrix& self, const Cube<const uint8_t>& codes, size_t columns) {
  check_size(codes.shape(0), self.bands(), "bands of codes");
  check_size(codes.shape(1), self.blocks(), "blocks of codes");
  check_size(codes.shape(2), self.code_size(), "bytes of a code");
  check_size(columns, self.columns(), "columns of x");
}

Matrix<int32_t> sums(const PackedMatrix& self, const Cube<const uint8_t>& codes, const Matrix<const int8_t>& x) {
  check(self, codes, x.shape(1));
  Matrix<int32_t> out = make_matrix<int32_t>(x.shape(0), self.rows());
  nb::gil_scoped_release release;
  self.sums(codes.data(), x.data(), x.shape(0), out.data());
  return out;
}

Matrix<float> multiply(const PackedMatrix& self, const Cube<const uint8_t>& codes, const Matrix<const float>& x,
                       const Rotation* input, const Rotation* output, float unit,
                       std::optional<Vector<const float>> factors) {
  check(self, codes, x.shape(1));
  if (input) check_size(input->d(), self.columns(), "columns of input");
  if (output) check_size(output->d(), self.rows(), "columns of output");
  if (factors) check_size(factors->size(), self.rows(), "factors");
  Matrix<float> y = make_matrix<float>(x.shape(0), self.rows());
  nb::gil_scoped_release release;
  self.multiply(codes.data(), x.data(), x.shape(0), {input, output, unit, factors ? factors->data() : nullptr},
                y.data());
  return y;
}

std::tuple<Matrix<int8_t>, Vector<float>, Vector<int32_t>> round(const Matrix<const float>& x) {
  const int64_t n = x.shape(0), d = x.shape(1);
  Matrix<int8_t> bytes = make_matrix<int8_t>(n, d);
  Vector<float> scales = make_vector<float>(n);
  Vector<int32_t> sums = make_vector<int32_t>(n);
  kernels().round_rows(x.data(), n, d, bytes.data(), d, scales.data(), sums.data());
  return {bytes, scales, sums};
}

}  // namespace

void bind_packed(nb::module_& m) {
  using namespace nb::literals;
  m.def("round_rows", &round, "x"_a.noconvert(),
        "Rows (n, d) float32 as int8 (n, d), scales (n) float32 and sums (n) int32.");
  nb::class_<Rotation>(m, "Rotation", "A random rotation of rows: see RotationPlan in kernels.h.")
      .def(nb::init<int64_t>(), "d"_a)
      .def("append", &append, "permutation"_a.noconvert().none(), "windows"_a,
           "Adds a step: permutation (d) int32 or None, at most two windows of a start and signs (2^p) float32.")
      .def("rotate", &rotate, "rows"_a.noconvert(), "inverse"_a, "Rotates rows (n, d) float32 in place, or back.");
  nb::class_<PackedMatrix>(m, "PackedMatrix", "A matrix of trellis codes that is multiplied with as it is.")
      .def("__init__", &make, "trellis"_a, "values"_a.noconvert(), "periods"_a.noconvert(), "rows"_a, "columns"_a,
           nb::keep_alive<1, 2>(), "values (tables * 256), periods (2): see TrellisMatrix in kernels.h.")
      .def("sums", &sums, "codes"_a.noconvert(), "x"_a.noconvert(),
           "x (n, columns) int8 times (level - 128) of codes (bands, blocks, code_size), (n, rows) int32 modulo 2^32.")
      .def("multiply", &multiply, "codes"_a.noconvert(), "x"_a.noconvert(), "input"_a.none(), "output"_a.none(),
           "unit"_a, "factors"_a.noconvert().none(),
           "x (n, columns) float32 rotated, rounded to bytes, multiplied, times unit, rotated back, times factors: "
           "(n, rows) float32.");
}

}  // namespace codeword
