// pairwise_dot, pairwise_sqdist.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/pairwise.h"

namespace codeword {
namespace {

using Pairwise = void(const float*, int64_t, const float*, int64_t, int64_t, double*);

template <Pairwise* function>
Matrix<double> pairwise(Matrix<const float> a, Matrix<const float> b) {
  const int64_t n = a.shape(0), k = b.shape(0), d = a.shape(1);
  if (static_cast<int64_t>(b.shape(1)) != d) {
    throw std::invalid_argument("b: expected " + std::to_string(d) + " columns as a has, got " +
                                std::to_string(b.shape(1)));
  }
  Matrix<double> out = make_matrix<double>(n, k);
  nb::gil_scoped_release release;
  function(a.data(), n, b.data(), k, d, out.data());
  return out;
}

}  // namespace

void bind_pairwise(nb::module_& m) {
  using namespace nb::literals;
  m.def("pairwise_dot", &pairwise<pairwise_dot>, "a"_a.noconvert(), "b"_a.noconvert(),
        "Inner products (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.");
  m.def("pairwise_sqdist", &pairwise<pairwise_sqdist>, "a"_a.noconvert(), "b"_a.noconvert(),
        "Squared distances (n, k) float64 of the rows of `a` (n, d) and `b` (k, d) float32, summed in lane order.");
}

}  // namespace codeword
