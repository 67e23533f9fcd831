// The class Trellis.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/trellis.h"

namespace codeword {
namespace {

template <class T>
std::vector<T> copied(const Vector<const T>& a) {
  return std::vector<T>(a.data(), a.data() + a.size());
}

void make(Trellis* self, Vector<const uint8_t> folds, Vector<const uint8_t> widths, Vector<const int32_t> firsts,
          Vector<const int32_t> columns, Vector<const uint8_t> tables, Vector<const float> means,
          Vector<const float> inverses, Vector<const float> scales, Vector<const float> fill,
          Vector<const int16_t> values, Vector<const uint8_t> costs, int window, int warm) {
  new (self) Trellis({.folds = copied(folds),
                      .widths = copied(widths),
                      .firsts = copied(firsts),
                      .columns = copied(columns),
                      .tables = copied(tables),
                      .means = copied(means),
                      .inverses = copied(inverses),
                      .scales = copied(scales),
                      .fill = copied(fill),
                      .values = copied(values),
                      .costs = copied(costs)},
                     window, warm);
}

void check_width(size_t got, int64_t expected, const char* name) {
  if (static_cast<int64_t>(got) != expected) {
    throw std::invalid_argument(std::string(name) + " must have " + std::to_string(expected) + " columns, got " +
                                std::to_string(got));
  }
}

Matrix<uint8_t> encode(const Trellis& self, Matrix<const float> x) {
  check_width(x.shape(1), self.d(), "x");
  Matrix<uint8_t> codes = make_matrix<uint8_t>(x.shape(0), self.code_size());
  nb::gil_scoped_release release;
  self.encode(x.data(), x.shape(0), codes.data());
  return codes;
}

Matrix<float> decode(const Trellis& self, Matrix<const uint8_t> codes) {
  check_width(codes.shape(1), self.code_size(), "codes");
  Matrix<float> x = make_matrix<float>(codes.shape(0), self.d());
  nb::gil_scoped_release release;
  self.decode(codes.data(), codes.shape(0), x.data());
  return x;
}

}  // namespace

void bind_trellis(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Trellis>(m, "Trellis", "A bitshift trellis code; the arrays are those of TrellisCode in kernels.h.")
      .def("__init__", &make, "folds"_a.noconvert(), "widths"_a.noconvert(), "firsts"_a.noconvert(),
           "columns"_a.noconvert(), "tables"_a.noconvert(), "means"_a.noconvert(), "inverses"_a.noconvert(),
           "scales"_a.noconvert(), "fill"_a.noconvert(), "values"_a.noconvert(), "costs"_a.noconvert(), "window"_a,
           "warm"_a)
      .def_prop_ro("code_size", &Trellis::code_size)
      .def("encode", &encode, "x"_a.noconvert(), "Codes (n, code_size) uint8 of rows (n, d) float32.")
      .def("decode", &decode, "codes"_a.noconvert(), "Rows (n, d) float32 of codes (n, code_size) uint8.");
}

}  // namespace codeword
