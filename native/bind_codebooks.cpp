// Codebooks, accumulate, keep_farthest, add_to_total.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <climits>
#include <optional>
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/accumulate.h"
#include "core/codebooks.h"
#include "core/total.h"

namespace codeword {
namespace {

// Rows may be a slice of wider ones; within a row, columns are adjacent.
template <class T>
using Rows = nb::ndarray<T, nb::numpy, nb::ndim<2>, nb::device::cpu>;

void expect(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

template <class T>
int64_t row_stride(const Rows<const T>& x, const char* name) {
  expect(x.size() == 0 || x.shape(1) == 1 || x.stride(1) == 1,
         std::string(name) + ": the columns of a row must be adjacent");
  return x.stride(0);
}

void expect_shape(int64_t n, int64_t d, int64_t wanted_n, int64_t wanted_d, const char* name) {
  const auto shape = [](int64_t a, int64_t b) { return "(" + std::to_string(a) + ", " + std::to_string(b) + ")"; };
  expect(n == wanted_n && d == wanted_d,
         std::string(name) + ": expected shape " + shape(wanted_n, wanted_d) + ", got " + shape(n, d));
}

template <class T>
void make_codebooks(Codebooks* self, const std::vector<Matrix<const T>>& codebooks) {
  expect(!codebooks.empty(), "codebooks: expected at least one");
  for (const auto& c : codebooks) {
    expect(c.shape(0) >= 1 && c.shape(1) >= 1 && c.shape(0) <= INT_MAX, "codebooks: expected (k, d) with k, d >= 1");
  }
  new (self) Codebooks;
  for (const auto& c : codebooks) {
    self->append(c.data(), static_cast<int64_t>(c.shape(0)), static_cast<int64_t>(c.shape(1)));
  }
}

template <class T>
void assign(const Codebooks& self, const Rows<const T>& x, const Matrix<int32_t>& labels,
            const std::optional<Matrix<double>>& distances) {
  const auto n = static_cast<int64_t>(x.shape(0));
  if (self.wide() != (sizeof(T) == sizeof(double)))
    throw nb::type_error("x: expected the number type of the codebooks");
  expect_shape(n, x.shape(1), n, self.d(), "x");
  expect_shape(labels.shape(0), labels.shape(1), n, self.m(), "labels");
  if (distances) expect_shape(distances->shape(0), distances->shape(1), n, self.m(), "distances");
  const int64_t stride = row_stride(x, "x");
  nb::gil_scoped_release release;
  self.assign(x.data(), n, stride, labels.data(), distances ? distances->data() : nullptr);
}

void expect_labels(const Vector<const int32_t>& labels, int64_t n, int64_t k, const char* name) {
  expect(static_cast<int64_t>(labels.shape(0)) == n, std::string(name) + ": expected one a row");
  int32_t lowest = 0, highest = 0;
  for (int64_t i = 0; i < n; ++i) {
    lowest = std::min(lowest, labels.data()[i]);
    highest = std::max(highest, labels.data()[i]);
  }
  expect(lowest >= 0 && highest < k, std::string(name) + ": expected labels from 0 to k - 1");
}

template <class T>
void accumulate_rows(const Rows<const T>& x, const Vector<const int32_t>& labels,
                     const Vector<const int32_t>& exponents, int32_t weight_exponent, const Matrix<int64_t>& sums,
                     const Vector<int64_t>& counts, const std::optional<Vector<const T>>& weights,
                     const std::optional<Vector<const int32_t>>& old_labels) {
  const auto n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
  const auto k = static_cast<int64_t>(sums.shape(0));
  expect_shape(k, sums.shape(1), k, d, "sums");
  expect(static_cast<int64_t>(counts.shape(0)) == k, "counts: expected one a codeword");
  expect(static_cast<int64_t>(exponents.shape(0)) == d, "exponents: expected one a column");
  for (int64_t j = 0; j < d; ++j) {
    expect(exponents.data()[j] >= -1000 && exponents.data()[j] <= 1000, "exponents: expected -1000 to 1000");
  }
  expect_labels(labels, n, k, "labels");
  if (old_labels) expect_labels(*old_labels, n, k, "old_labels");
  if (weights) expect(static_cast<int64_t>(weights->shape(0)) == n, "weights: expected one a row");
  Accumulate<T> job = {x.data(),        n,       d,           row_stride(x, "x"),
                       labels.data(),   nullptr, nullptr,     exponents.data(),
                       weight_exponent, k,       sums.data(), counts.data()};
  if (old_labels) job.old_labels = old_labels->data();
  if (weights) job.weights = weights->data();
  nb::gil_scoped_release release;
  accumulate(job);
}

void farthest_rows(const Vector<const int32_t>& labels, const Vector<const double>& losses, int64_t first,
                   const Vector<double>& largest, const Vector<int64_t>& farthest) {
  const auto n = static_cast<int64_t>(labels.shape(0)), k = static_cast<int64_t>(largest.shape(0));
  expect(static_cast<int64_t>(losses.shape(0)) == n, "losses: expected one a row");
  expect(static_cast<int64_t>(farthest.shape(0)) == k, "farthest: expected one a codeword");
  expect_labels(labels, n, k, "labels");
  nb::gil_scoped_release release;
  keep_farthest(labels.data(), losses.data(), n, first, largest.data(), farthest.data());
}

void add_values(const Vector<const double>& values, const std::optional<Vector<const float>>& weights,
                const Vector<int64_t>& digits) {
  const auto n = static_cast<int64_t>(values.shape(0));
  if (weights) expect(static_cast<int64_t>(weights->shape(0)) == n, "weights: expected one a value");
  expect(static_cast<int64_t>(digits.shape(0)) == kTotalDigits,
         "digits: expected " + std::to_string(kTotalDigits) + " of them");
  nb::gil_scoped_release release;
  add_to_total(values.data(), weights ? weights->data() : nullptr, n, digits.data());
}

}  // namespace

void bind_codebooks(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Codebooks>(m, "Codebooks", "m codebooks that cover the columns of a row side by side.")
      .def("__init__", &make_codebooks<float>, "codebooks"_a, "Copies a list of (k_i, d_i) float32 codebooks.")
      .def("__init__", &make_codebooks<double>, "codebooks"_a,
           "Copies a list of (k_i, d_i) float64 codebooks, for float64 rows; numbers must be in the range of float32.")
      .def_prop_ro("m", &Codebooks::m, "Number of codebooks.")
      .def_prop_ro("d", &Codebooks::d, "Columns of a row.")
      .def("assign", &assign<float>, "x"_a.noconvert(), "labels"_a.noconvert(), "distances"_a.noconvert() = nb::none(),
           "Write the number of the nearest codeword of each piece of the rows `x` (n, d) float32 to `labels` (n, m)\n"
           "int32 and its squared distance to `distances` (n, m) float64. Ties go to the lowest number.")
      .def("assign", &assign<double>, "x"_a.noconvert(), "labels"_a.noconvert(), "distances"_a.noconvert() = nb::none(),
           "The same for rows and codebooks of float64.");
  m.def("accumulate", &accumulate_rows<float>, "x"_a.noconvert(), "labels"_a.noconvert(), "exponents"_a.noconvert(),
        "weight_exponent"_a, "sums"_a.noconvert(), "counts"_a.noconvert(), "weights"_a.noconvert() = nb::none(),
        "old_labels"_a.noconvert() = nb::none(),
        "sums[label] += round(x * weight * 2**exponents), counts[label] += round(weight * 2**weight_exponent), in\n"
        "int64; without weights counts grow by 1. Given old labels, rows whose label changed move, others stay.");
  m.def("accumulate", &accumulate_rows<double>, "x"_a.noconvert(), "labels"_a.noconvert(), "exponents"_a.noconvert(),
        "weight_exponent"_a, "sums"_a.noconvert(), "counts"_a.noconvert(), "weights"_a.noconvert() = nb::none(),
        "old_labels"_a.noconvert() = nb::none(),
        "The same of float64 rows and weights; x * weight is rounded to float64 first.");
  m.def(
      "keep_farthest", &farthest_rows, "labels"_a.noconvert(), "losses"_a.noconvert(), "first"_a,
      "largest"_a.noconvert(), "farthest"_a.noconvert(),
      "largest[label] = loss and farthest[label] = first + its row, for the largest losses (n) float64 of each label\n"
      "(n) int32, where they are above `largest` (k) float64; `farthest` (k) int64. Ties go to the first row.");
  m.attr("TOTAL_DIGITS") = kTotalDigits;
  m.def("add_to_total", &add_values, "values"_a.noconvert(), "weights"_a.noconvert().none(), "digits"_a.noconvert(),
        "Add values * weights, finite float64 of at least 0, exactly: digit i of `digits` (TOTAL_DIGITS) int64 counts\n"
        "2**(32 * i - 1074) and is left from 0 to 2**32 - 1. Without weights each counts 1.");
}

}  // namespace codeword
