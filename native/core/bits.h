// Packing of symbols into bit strings, over rows and threads. Shapes and layout: pack_bits_fn in kernels.h.
#pragma once

#include <cstdint>

namespace codeword {

// Bytes of one packed row: ceil(sum(bits) / 8).
int64_t packed_size(const uint8_t* bits, int64_t m);

void pack_bits(const uint32_t* indices, const uint8_t* bits, int64_t n, int64_t m, uint8_t* codes);
void unpack_bits(const uint8_t* codes, const uint8_t* bits, int64_t n, int64_t m, uint32_t* indices);

}  // namespace codeword
