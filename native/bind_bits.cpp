// pack_bits, unpack_bits.
#include <stdexcept>
#include <string>

#include "bind.h"
#include "core/bits.h"

namespace codeword {
namespace {

void check_widths(const Vector<const uint8_t>& bits) {
  for (size_t j = 0; j < bits.size(); ++j) {
    const int width = bits.data()[j];
    if (width < 1 || width > 32) {
      throw std::invalid_argument("bits must be from 1 to 32, got " + std::to_string(width) + " for column " +
                                  std::to_string(j));
    }
  }
}

Matrix<uint8_t> pack(Matrix<const uint32_t> indices, Vector<const uint8_t> bits) {
  const int64_t n = indices.shape(0), m = indices.shape(1);
  check_widths(bits);
  if (static_cast<int64_t>(bits.size()) != m) {
    throw std::invalid_argument("bits must have one entry a column of indices, " + std::to_string(m) + ", got " +
                                std::to_string(bits.size()));
  }
  Matrix<uint8_t> codes = make_matrix<uint8_t>(n, packed_size(bits.data(), m));
  nb::gil_scoped_release release;
  pack_bits(indices.data(), bits.data(), n, m, codes.data());
  return codes;
}

Matrix<uint32_t> unpack(Matrix<const uint8_t> codes, Vector<const uint8_t> bits) {
  const int64_t n = codes.shape(0), m = bits.size();
  check_widths(bits);
  const int64_t size = packed_size(bits.data(), m);
  if (static_cast<int64_t>(codes.shape(1)) != size) {
    throw std::invalid_argument("codes must have " + std::to_string(size) + " bytes a row for these bits, got " +
                                std::to_string(codes.shape(1)));
  }
  Matrix<uint32_t> indices = make_matrix<uint32_t>(n, m);
  nb::gil_scoped_release release;
  unpack_bits(codes.data(), bits.data(), n, m, indices.data());
  return indices;
}

}  // namespace

void bind_bits(nb::module_& m) {
  using namespace nb::literals;
  m.def("pack_bits", &pack, "indices"_a.noconvert(), "bits"_a.noconvert(),
        "Pack the low bits[j] bits of column j of `indices` (n, m) uint32 into (n, code_size) uint8.");
  m.def("unpack_bits", &unpack, "codes"_a.noconvert(), "bits"_a.noconvert(),
        "Inverse of pack_bits: (n, code_size) uint8 to (n, m) uint32.");
}

}  // namespace codeword
