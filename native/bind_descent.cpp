// Descent.
#include <nanobind/stl/optional.h>

#include <climits>
#include <optional>
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/descent.h"

namespace codeword {
namespace {

// Rows may be a slice of wider ones; within a row, columns are adjacent.
using Rows = nb::ndarray<const float, nb::numpy, nb::ndim<2>, nb::device::cpu>;

void expect(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

// A pair comes after its parent, so that descents end.
void make_descent(Descent* self, const Matrix<const float>& codewords, const Vector<const int32_t>& children) {
  const auto slots = static_cast<int64_t>(codewords.shape(0)), d = static_cast<int64_t>(codewords.shape(1));
  expect(slots % 2 == 0 && slots < INT_MAX && d >= 1, "codewords: expected (2 pairs, d) with d >= 1");
  expect(static_cast<int64_t>(children.shape(0)) == slots, "children: expected one a codeword");
  for (int64_t s = 0; s < slots; ++s) {
    const int32_t child = children.data()[s];
    expect(child < slots / 2 && (child < 0 || child > s / 2),
           "children: expected pairs below their parents, or ~label");
  }
  new (self) Descent(codewords.data(), children.data(), slots / 2, d);
}

void run(const Descent& self, const Rows& x, const Vector<int32_t>& labels,
         const std::optional<Vector<const int32_t>>& first, const std::optional<Vector<double>>& distances) {
  const auto n = static_cast<int64_t>(x.shape(0));
  expect(static_cast<int64_t>(x.shape(1)) == self.d(), "x: expected as many columns as the codewords have");
  expect(x.size() == 0 || x.shape(1) == 1 || x.stride(1) == 1, "x: the columns of a row must be adjacent");
  expect(static_cast<int64_t>(labels.shape(0)) == n, "labels: expected one a row");
  expect(!distances || static_cast<int64_t>(distances->shape(0)) == n, "distances: expected one a row");
  expect(!first || static_cast<int64_t>(first->shape(0)) == n, "first: expected one a row");
  expect(n == 0 || self.pairs() > 0, "codewords: expected at least one pair");
  for (int64_t i = 0; first && i < n; ++i) {
    expect(first->data()[i] >= 0 && first->data()[i] < self.pairs(), "first: expected numbers of pairs");
  }
  nb::gil_scoped_release release;
  self.run(x.data(), n, x.stride(0), first ? first->data() : nullptr, labels.data(),
           distances ? distances->data() : nullptr);
}

}  // namespace

void bind_descent(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Descent>(m, "Descent", "Binary trees of codewords.")
      .def("__init__", &make_descent, "codewords"_a.noconvert(), "children"_a.noconvert(),
           "Copies codewords (2 pairs, d) float32, the two of a pair side by side, and children (2 pairs) int32: for\n"
           "each codeword the pair below it, or the complement ~label where descents end.")
      .def_prop_ro("d", &Descent::d, "Columns of a row.")
      .def("run", &run, "x"_a.noconvert(), "labels"_a.noconvert(), "first"_a.noconvert() = nb::none(),
           "distances"_a.noconvert() = nb::none(),
           "Write where the rows `x` (n, d) float32 end to `labels` (n) int32: from pair `first` (n) int32 or 0 down, "
           "the\n"
           "nearer codeword of each pair, of equally near ones the left; and the squared distance to the last one to\n"
           "`distances` (n) float64.");
}

}  // namespace codeword
