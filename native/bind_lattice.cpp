// The class Lattice.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "bind.h"
#include "core/lattice.h"

namespace codeword {
namespace {

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

template <class T, class Array>
std::vector<T> copied(const Array& a) {
  return std::vector<T>(a.data(), a.data() + a.size());
}

void make(Lattice* self, const std::vector<Matrix<const uint8_t>>& shapes,
          const std::vector<Matrix<const int8_t>>& leaders, const Vector<const uint8_t>& steps,
          const Vector<const float>& mean, const Vector<const float>& scale) {
  expect(shapes.size() == leaders.size(), "shapes, leaders: expected one of each a stage");
  std::vector<OrbitTable> stages;
  for (size_t s = 0; s < shapes.size(); ++s) {
    stages.emplace_back(copied<uint8_t>(shapes[s]), copied<int8_t>(leaders[s]));
  }
  new (self) Lattice(std::move(stages), copied<uint8_t>(steps), copied<float>(mean), copied<float>(scale));
}

void check_width(size_t got, int64_t expected, const char* name) {
  expect(static_cast<int64_t>(got) == expected,
         std::string(name) + ": expected " + std::to_string(expected) + " columns, got " + std::to_string(got));
}

Matrix<uint8_t> encode(const Lattice& self, const Matrix<const float>& x) {
  check_width(x.shape(1), self.d(), "x");
  Matrix<uint8_t> codes = make_matrix<uint8_t>(x.shape(0), self.code_size());
  nb::gil_scoped_release release;
  self.encode(x.data(), x.shape(0), codes.data());
  return codes;
}

Matrix<float> decode(const Lattice& self, const Matrix<const uint8_t>& codes) {
  check_width(codes.shape(1), self.code_size(), "codes");
  Matrix<float> x = make_matrix<float>(codes.shape(0), self.d());
  nb::gil_scoped_release release;
  self.decode(codes.data(), codes.shape(0), x.data());
  return x;
}

Matrix<int16_t> values(const Lattice& self, const Matrix<const uint8_t>& codes) {
  check_width(codes.shape(1), self.code_size(), "codes");
  Matrix<int16_t> out = make_matrix<int16_t>(codes.shape(0), 8 * self.blocks());
  nb::gil_scoped_release release;
  self.values(codes.data(), codes.shape(0), out.data());
  return out;
}

Matrix<float> scan(const Lattice& self, const Matrix<const uint8_t>& codes, const Matrix<const int16_t>& weights,
                   const Vector<const float>& scale, const Vector<const float>& bias,
                   const std::optional<Vector<const double>>& line, const std::optional<Vector<const double>>& square,
                   double constant, bool cosine) {
  check_width(codes.shape(1), self.code_size(), "codes");
  check_width(weights.shape(1), self.width(), "weights");
  const auto q = static_cast<int64_t>(weights.shape(0));
  expect(static_cast<int64_t>(scale.size()) == q && static_cast<int64_t>(bias.size()) == q,
         "scale, bias: expected one a query");
  expect(line.has_value() == square.has_value(), "line, square: expected both or none");
  Lattice::Norms norms{nullptr, nullptr, constant, cosine};
  if (line) {
    check_width(line->size(), self.width(), "line");
    check_width(square->size(), self.width(), "square");
    norms.line = line->data();
    norms.square = square->data();
  }
  Matrix<float> out = make_matrix<float>(q, codes.shape(0));
  nb::gil_scoped_release release;
  self.scan(codes.data(), codes.shape(0), weights.data(), q, scale.data(), bias.data(), line ? &norms : nullptr,
            out.data());
  return out;
}

}  // namespace

void bind_lattice(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Lattice>(m, "Lattice", "A lattice code of blocks of eight coordinates, in one stage or two.")
      .def("__init__", &make, "shapes"_a, "leaders"_a, "steps"_a.noconvert(), "mean"_a.noconvert(),
           "scale"_a.noconvert(),
           "Lists of shapes (m, 8) uint8 and leaders (m, 8) int8 of the stages, steps (m of the first) uint8, mean (d) "
           "and\n"
           "scale (ceil(d / 8)) float32; see docs/lattice.md.")
      .def_prop_ro("code_size", &Lattice::code_size)
      .def_prop_ro("width", &Lattice::width, "Columns of weights: 8 a block, rounded up to a multiple of 32.")
      .def("encode", &encode, "x"_a.noconvert(), "Codes (n, code_size) uint8 of rows (n, d) float32.")
      .def("decode", &decode, "codes"_a.noconvert(), "Rows (n, d) float32 of codes (n, code_size) uint8.")
      .def("values", &values, "codes"_a.noconvert(),
           "Whole values (n, 8 * blocks) int16 of codes: x = mean + scale * value.")
      .def("scan", &scan, "codes"_a.noconvert(), "weights"_a.noconvert(), "scale"_a.noconvert(), "bias"_a.noconvert(),
           "line"_a.noconvert() = nb::none(), "square"_a.noconvert() = nb::none(), "constant"_a = 0.0,
           "cosine"_a = false,
           "score = float32(sum of weights * values) * scale + bias, (q, n), for int16 weights (q, width), whose sums "
           "must\n"
           "stay below 2^31. With line and square (width) a row's norm = constant + sum of v (line + square v), and "
           "the\n"
           "result is max(score + norm, 0), or max(score / sqrt(norm) + 1, 0) with cosine.");
}

}  // namespace codeword
