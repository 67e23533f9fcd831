// column_range, column_sums.
#include <nanobind/stl/pair.h>

#include <stdexcept>
#include <utility>

#include "bind.h"
#include "core/columns.h"

namespace codeword {
namespace {

constexpr size_t kMostRows = size_t(1) << 26;

// Rows may be a slice of wider ones; within a row, columns are adjacent.
using Rows = nb::ndarray<const float, nb::numpy, nb::ndim<2>, nb::device::cpu>;

void expect_rows(const Rows& x) {
  if (x.shape(0) < 1 || x.shape(1) < 1) throw std::invalid_argument("x: expected (n, d) with n, d >= 1");
  if (x.shape(1) > 1 && x.stride(1) != 1) throw std::invalid_argument("x: the columns of a row must be adjacent");
}

std::pair<Vector<float>, Vector<float>> range(const Rows& x) {
  expect_rows(x);
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  auto low = make_vector<float>(d), high = make_vector<float>(d);
  {
    nb::gil_scoped_release release;
    column_range(x.data(), x.stride(0), n, d, low.data(), high.data());
  }
  return {std::move(low), std::move(high)};
}

Matrix<double> sums(const Rows& x, const Vector<const double>& shift, const Vector<const double>& scale) {
  expect_rows(x);
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  if (x.shape(0) > kMostRows) throw std::invalid_argument("x: expected at most 2^26 rows");
  if (shift.shape(0) != x.shape(1) || scale.shape(0) != x.shape(1)) {
    throw std::invalid_argument("shift, scale: expected one a column");
  }
  auto out = make_matrix<double>(3, d);
  {
    nb::gil_scoped_release release;
    column_sums(x.data(), x.stride(0), n, d, shift.data(), scale.data(), out.data());
  }
  return out;
}

}  // namespace

void bind_columns(nb::module_& m) {
  using namespace nb::literals;
  m.def("column_range", &range, "x"_a.noconvert(),
        "Lowest and highest value (d,) of each column of float32 rows (n, d).");
  m.def("column_sums", &sums, "x"_a.noconvert(), "shift"_a.noconvert(), "scale"_a.noconvert(),
        "Sums (3, d) float64 of y, the integers nearest to (x - shift) * scale, and of the upper and lower halves of "
        "y^2.");
}

}  // namespace codeword
