// Function types and argument structs of the kernels, and the table of them that every ISA exports.
// Kernels trust their arguments (Python and native/core check them), allocate nothing, throw nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace codeword {

// CRC of `data` (n bytes) continued from `crc`; the CRC of an empty prefix is 0.
using crc32c_fn = uint32_t(uint32_t crc, const uint8_t* data, size_t n);

// Each of `n` rows of `length` = 2^p floats becomes its Walsh-Hadamard transform: stages of butterflies (a + b, a - b)
// at distance 1, 2, 4, ..., length / 2 in that order, so every ISA rounds alike.
using hadamard_fn = void(float* rows, int64_t n, int64_t length);

// Row i of `codes` (code_size = ceil(sum(bits) / 8) bytes) holds, from its lowest bit upwards, the low bits[j] bits of
// indices[i, j] for j = 0 .. m - 1; 1 <= bits[j] <= 32. Spare bits are zero.
using pack_bits_fn = void(const uint32_t* indices, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size,
                          uint8_t* codes);
using unpack_bits_fn = void(const uint8_t* codes, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size,
                            uint32_t* indices);

// The kernels of one ISA.
struct Kernels {
#define KERNEL(name, what) name##_fn* name;
#include "kernels.def"
#undef KERNEL
};

}  // namespace codeword
