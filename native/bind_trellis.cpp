// The classes Trellis, TrellisTables and TrellisQueries.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/trellis.h"
#include "core/trellis_scan.h"

namespace codeword {
namespace {

template <class T>
std::vector<T> copied(const Vector<const T>& a) {
  return std::vector<T>(a.data(), a.data() + a.size());
}

void make(Trellis* self, Vector<const uint8_t> folds, Vector<const uint8_t> widths, Vector<const int32_t> firsts,
          Vector<const int32_t> columns, Vector<const uint8_t> tables, Vector<const uint8_t> grids,
          Vector<const float> means, Vector<const float> inverses, Vector<const float> scales, Vector<const float> fill,
          Vector<const int16_t> values, Vector<const uint8_t> costs, int window, int warm) {
  new (self) Trellis({.folds = copied(folds),
                      .widths = copied(widths),
                      .firsts = copied(firsts),
                      .columns = copied(columns),
                      .tables = copied(tables),
                      .grids = copied(grids),
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

Matrix<int64_t> products(const Trellis& self, const uint8_t* codes, size_t n, bool each,
                         const Matrix<const int16_t>& weights) {
  check_width(weights.shape(1), self.code().coordinates, "weights");
  const auto q = static_cast<int64_t>(weights.shape(0)), rows = static_cast<int64_t>(n);
  Matrix<int64_t> sums = make_matrix<int64_t>(q, rows);
  nb::gil_scoped_release release;
  trellis_products(self, codes, rows, each, weights.data(), q, sums.data());
  return sums;
}

Matrix<int64_t> dot(const Trellis& self, const Matrix<const uint8_t>& codes, const Matrix<const int16_t>& weights) {
  check_width(codes.shape(1), self.code_size(), "codes");
  return products(self, codes.data(), codes.shape(0), false, weights);
}

Matrix<int64_t> dot_each(const Trellis& self, const Cube<const uint8_t>& codes, const Matrix<const int16_t>& weights) {
  check_width(codes.shape(2), self.code_size(), "codes");
  check_width(codes.shape(0), static_cast<int64_t>(weights.shape(0)), "codes, one matrix a query,");
  return products(self, codes.data(), codes.shape(1), true, weights);
}

void make_tables(TrellisTables* self, const Trellis& code, const Vector<const uint8_t>& values,
                 const Vector<const uint8_t>& periods, const Vector<const int32_t>& order,
                 const Vector<const uint8_t>& rise) {
  new (self) TrellisTables(code, copied(values), copied(periods), copied(order), copied(rise));
}

Matrix<float> gather(const Trellis& self, const Cube<const uint8_t>& codes, const Vector<const int64_t>& numbers,
                     int64_t tile, int64_t columns) {
  check_width(codes.shape(2), self.code_size(), "codes");
  const auto blocks = static_cast<int64_t>(codes.shape(1)), n = static_cast<int64_t>(numbers.size());
  if (tile < 1 || self.code().coordinates % tile || columns < 1 || columns > blocks * tile) {
    throw std::invalid_argument("columns must be from 1 to those of codes, tiles of the width of codes");
  }
  const int64_t rows = static_cast<int64_t>(codes.shape(0)) * (self.code().coordinates / tile);
  for (int64_t i = 0; i < n; ++i) {
    if (numbers(i) < 0 || numbers(i) >= rows) throw std::invalid_argument("numbers must be rows of codes");
  }
  Matrix<float> x = make_matrix<float>(n, columns);
  nb::gil_scoped_release release;
  self.gather({codes.data(), blocks, tile, columns}, numbers.data(), n, x.data());
  return x;
}

void make_queries(TrellisQueries* self, const TrellisTables& tables, const Matrix<const int8_t>& weights,
                  const Vector<const float>& scale, const Vector<const float>& bias) {
  check_width(weights.shape(1), tables.coordinates(), "weights");
  check_width(scale.size(), static_cast<int64_t>(weights.shape(0)), "scale");
  check_width(bias.size(), static_cast<int64_t>(weights.shape(0)), "bias");
  new (self)
      TrellisQueries(tables, weights.data(), static_cast<int64_t>(weights.shape(0)), copied(scale), copied(bias));
}

Matrix<float> scan(const TrellisQueries& self, const Matrix<const uint8_t>& codes) {
  check_width(codes.shape(1), self.code_size(), "codes");
  Matrix<float> out = make_matrix<float>(self.queries(), codes.shape(0));
  nb::gil_scoped_release release;
  self.scan(codes.data(), codes.shape(0), out.data());
  return out;
}

}  // namespace

void bind_trellis(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Trellis>(m, "Trellis", "A bitshift trellis code; the arrays are those of TrellisCode in kernels.h.")
      .def("__init__", &make, "folds"_a.noconvert(), "widths"_a.noconvert(), "firsts"_a.noconvert(),
           "columns"_a.noconvert(), "tables"_a.noconvert(), "grids"_a.noconvert(), "means"_a.noconvert(),
           "inverses"_a.noconvert(), "scales"_a.noconvert(), "fill"_a.noconvert(), "values"_a.noconvert(),
           "costs"_a.noconvert(), "window"_a, "warm"_a)
      .def_prop_ro("code_size", &Trellis::code_size)
      .def("encode", &encode, "x"_a.noconvert(), "Codes (n, code_size) uint8 of rows (n, d) float32.")
      .def("decode", &decode, "codes"_a.noconvert(), "Rows (n, d) float32 of codes (n, code_size) uint8.")
      .def("gather", &gather, "codes"_a.noconvert(), "numbers"_a.noconvert(), "tile"_a, "columns"_a,
           "Rows `numbers` (n) int64 of the matrix whose pieces, `tile` columns wide, are codes (bands, blocks, "
           "code_size): (n, columns) float32.")
      .def("dot", &dot, "codes"_a.noconvert(), "weights"_a.noconvert(),
           "Sums (q, n) int64 of values * weights over the coordinates of codes (n, code_size), weights (q, "
           "coordinates).")
      .def("dot_each", &dot_each, "codes"_a.noconvert(), "weights"_a.noconvert(),
           "The same (q, n) for codes (q, n, code_size): those of each query.");
  nb::class_<TrellisTables>(m, "TrellisTables", "Tables of 8 bits that scans of trellis codes look up.")
      .def("__init__", &make_tables, "trellis"_a, "values"_a.noconvert(), "periods"_a.noconvert(),
           "order"_a.noconvert(), "rise"_a.noconvert(), nb::keep_alive<1, 2>(),
           "values (tables * 256), periods (2), order and rise (blocks): see TrellisScan in kernels.h.");
  nb::class_<TrellisQueries, RowScorer>(m, "TrellisQueries", "int8 weights of a batch of queries for trellis codes.")
      .def("__init__", &make_queries, "tables"_a, "weights"_a.noconvert(), "scale"_a.noconvert(), "bias"_a.noconvert(),
           nb::keep_alive<1, 2>(), "weights (q, coordinates), scale and bias (q).")
      .def("scan", &scan, "codes"_a.noconvert(), "sum * scale + bias (q, n) float32 of codes (n, code_size).");
}

}  // namespace codeword
