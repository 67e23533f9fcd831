// Packed symbols: row i of `codes` is one little-endian bit string of the row's symbols, column j taking bits[j] bits.
// A 64-bit accumulator holds at most 31 bits before a symbol of at most 32 joins them: 63 bits, no overflow.

// The width that all columns share, or 0 when they differ.
inline int uniform_width(const uint8_t* bits, int64_t m) {
  for (int64_t j = 1; j < m; ++j) {
    if (bits[j] != bits[0]) return 0;
  }
  return m ? bits[0] : 0;
}

inline uint64_t low_bits(int width) { return (uint64_t(1) << width) - 1; }

inline void pack_row(const uint32_t* indices, const uint8_t* bits, int64_t m, uint8_t* code) {
  uint64_t held = 0;
  int fill = 0;
  for (int64_t j = 0; j < m; ++j) {
    held |= (indices[j] & low_bits(bits[j])) << fill;
    fill += bits[j];
    if (fill >= 32) {
      store_u32(code, static_cast<uint32_t>(held));
      code += 4;
      held >>= 32;
      fill -= 32;
    }
  }
  for (; fill > 0; fill -= 8, held >>= 8) *code++ = static_cast<uint8_t>(held);
}

inline void unpack_row(const uint8_t* code, const uint8_t* end, const uint8_t* bits, int64_t m, uint32_t* indices) {
  uint64_t held = 0;
  int fill = 0;
  for (int64_t j = 0; j < m; ++j) {
    if (fill < bits[j]) {
      if (end - code >= 4) {
        held |= uint64_t(load_u32(code)) << fill;
        code += 4;
        fill += 32;
      } else {
        for (; code < end; fill += 8) held |= uint64_t(*code++) << fill;
      }
    }
    indices[j] = static_cast<uint32_t>(held & low_bits(bits[j]));
    held >>= bits[j];
    fill -= bits[j];
  }
}

void pack_bits(const uint32_t* indices, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size, uint8_t* codes) {
  switch (uniform_width(bits, m)) {
    case 8:
      for (int64_t i = 0; i < n * m; ++i) codes[i] = static_cast<uint8_t>(indices[i]);
      return;
    case 16:
      for (int64_t i = 0; i < n * m; ++i) {
        codes[2 * i] = static_cast<uint8_t>(indices[i]);
        codes[2 * i + 1] = static_cast<uint8_t>(indices[i] >> 8);
      }
      return;
    case 4:
      for (int64_t i = 0; i < n; ++i, indices += m, codes += code_size) {
        for (int64_t j = 0; j < m / 2; ++j) {
          codes[j] = static_cast<uint8_t>((indices[2 * j] & 15) | indices[2 * j + 1] << 4);
        }
        if (m % 2) codes[m / 2] = indices[m - 1] & 15;
      }
      return;
    default:
      for (int64_t i = 0; i < n; ++i) pack_row(indices + i * m, bits, m, codes + i * code_size);
  }
}

void unpack_bits(const uint8_t* codes, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size,
                 uint32_t* indices) {
  switch (uniform_width(bits, m)) {
    case 8:
      for (int64_t i = 0; i < n * m; ++i) indices[i] = codes[i];
      return;
    case 16:
      for (int64_t i = 0; i < n * m; ++i) indices[i] = codes[2 * i] | uint32_t(codes[2 * i + 1]) << 8;
      return;
    case 4:
      for (int64_t i = 0; i < n; ++i, indices += m, codes += code_size) {
        for (int64_t j = 0; j < m / 2; ++j) {
          indices[2 * j] = codes[j] & 15;
          indices[2 * j + 1] = codes[j] >> 4;
        }
        if (m % 2) indices[m - 1] = codes[m / 2] & 15;
      }
      return;
    default:
      for (int64_t i = 0; i < n; ++i) {
        const uint8_t* code = codes + i * code_size;
        unpack_row(code, code + code_size, bits, m, indices + i * m);
      }
  }
}
