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

void transform_signed(Matrix<float> rows, int64_t start, Vector<const float> signs, bool signs_first) {
  const int64_t length = signs.size(), d = rows.shape(1);
  check_power(length, "signs");
  if (start < 0 || length > d || start > d - length) {
    throw std::invalid_argument("rows must have the columns of the window");
  }
  nb::gil_scoped_release release;
  hadamard_signed({rows.data(), static_cast<int64_t>(rows.shape(0)), d, start, length}, signs.data(), signs_first);
}

}  // namespace

void bind_hadamard(nb::module_& m) {
  using namespace nb::literals;
  m.def("hadamard", &transform, "rows"_a.noconvert(),
        "Walsh-Hadamard transform of the rows of a (n, 2^p) float32 array, in place, unnormalised.");
  m.def("hadamard_signed", &transform_signed, "rows"_a.noconvert(), "start"_a, "signs"_a.noconvert(), "signs_first"_a,
        "The same of the columns from `start` on that `signs` (2^p) has, which are multiplied by it before or after.");
}

}  // namespace codeword
