// CRC-32C by the CPU's own instruction, eight bytes at a time. It has a latency of 3 cycles and a throughput of 1, so
// long inputs run as three streams whose CRCs are joined by a table of "append kCrcStride zero bytes" (M. Adler's way).
// Without the instruction: one table look-up a byte.

constexpr int64_t kCrcStride = 1024;  // bytes of each of the three streams; a power of two

// crc * x^8, that is one zero byte appended, modulo the reflected polynomial.
constexpr uint32_t crc_append_zero(uint32_t crc) {
  for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
  return crc;
}

// A linear map of the 32 bits of the state, as the images of its bits.
struct CrcMap {
  uint32_t image[32];

  constexpr uint32_t operator()(uint32_t crc) const {
    uint32_t sum = 0;
    for (int bit = 0; crc; ++bit, crc >>= 1) sum ^= crc & 1 ? image[bit] : 0;
    return sum;
  }
};

struct CrcTables {
  uint32_t byte[256];      // append a zero byte to each value of the low byte
  uint32_t shift[4][256];  // append kCrcStride zero bytes, one table a byte of the state
};

constexpr CrcTables make_crc_tables() {
  CrcTables tables = {};
  for (uint32_t value = 0; value < 256; ++value) tables.byte[value] = crc_append_zero(value);
  CrcMap map = {};
  for (int bit = 0; bit < 32; ++bit) map.image[bit] = crc_append_zero(1u << bit);
  for (int64_t zeros = 1; zeros < kCrcStride; zeros *= 2) {
    CrcMap squared = {};
    for (int bit = 0; bit < 32; ++bit) squared.image[bit] = map(map.image[bit]);
    map = squared;
  }
  for (int byte = 0; byte < 4; ++byte) {
    for (uint32_t value = 0; value < 256; ++value) tables.shift[byte][value] = map(value << 8 * byte);
  }
  return tables;
}

constexpr CrcTables kCrcTables = make_crc_tables();

#if defined(__x86_64__) || defined(_M_X64)
#define CODEWORD_CRC_INSTRUCTION 1
inline uint32_t crc_step(uint32_t crc, uint64_t word) { return static_cast<uint32_t>(_mm_crc32_u64(crc, word)); }
#elif defined(__ARM_FEATURE_CRC32)
#define CODEWORD_CRC_INSTRUCTION 1
inline uint32_t crc_step(uint32_t crc, uint64_t word) { return __crc32cd(crc, word); }
#endif

#if CODEWORD_CRC_INSTRUCTION

inline uint32_t crc_shift(uint32_t crc) {
  return kCrcTables.shift[0][crc & 255] ^ kCrcTables.shift[1][crc >> 8 & 255] ^ kCrcTables.shift[2][crc >> 16 & 255] ^
         kCrcTables.shift[3][crc >> 24];
}

// Consumes as many blocks of 3 * kCrcStride bytes as there are; moves `data` and `n` past them.
inline uint32_t crc_three_streams(uint32_t crc, const uint8_t*& data, size_t& n) {
  for (; n >= 3 * kCrcStride; data += 3 * kCrcStride, n -= 3 * kCrcStride) {
    uint32_t second = 0, third = 0;
    for (int64_t i = 0; i < kCrcStride; i += 8) {
      crc = crc_step(crc, load_u64(data + i));
      second = crc_step(second, load_u64(data + kCrcStride + i));
      third = crc_step(third, load_u64(data + 2 * kCrcStride + i));
    }
    crc = crc_shift(crc_shift(crc) ^ second) ^ third;
  }
  return crc;
}

#endif

uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t n) {
  crc = ~crc;
#if CODEWORD_CRC_INSTRUCTION
  crc = crc_three_streams(crc, data, n);
  for (; n >= 8; data += 8, n -= 8) crc = crc_step(crc, load_u64(data));
#endif
  for (; n; ++data, --n) crc = (crc >> 8) ^ kCrcTables.byte[(crc ^ *data) & 255];
  return ~crc;
}
