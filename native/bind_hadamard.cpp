// hadamard.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/hadamard.h"

namespace codeword {
namespace {

void check_power(int64_t length, const char* name) {
  if (length >= 1 && !(length & (length - 1))) return;
  throw std::invalid_argument(std::string(name) + " must have a power of two of columns, got " +
                              std::to_string(length));
}

void transform(Matrix<float> rows) {
  const int64_t n = rows.shape(0), length = rows.shape(1);
  check_power(length, "rows");
  nb::gil_scoped_release release;
  hadamard(rows.data(), n, length);
}

}  // namespace

void bind_hadamard(nb::module_& m) {
  using namespace nb::literals;
  m.def("hadamard", &transform, "rows"_a.noconvert(),
        "Walsh-Hadamard transform of the rows of a (n, 2^p) float32 array, in place, unnormalised.");
}

}  // namespace codeword
