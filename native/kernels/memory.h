// Unaligned loads and stores of integers. Every target is little-endian, so these are also the byte order of our
// formats.

#if defined(_MSC_VER) && !defined(__clang__)
inline uint64_t load_u64(const uint8_t* p) { return *reinterpret_cast<const uint64_t*>(p); }
inline uint32_t load_u32(const uint8_t* p) { return *reinterpret_cast<const uint32_t*>(p); }
inline void store_u32(uint8_t* p, uint32_t value) { *reinterpret_cast<uint32_t*>(p) = value; }
#else
inline uint64_t load_u64(const uint8_t* p) {
  uint64_t value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

inline uint32_t load_u32(const uint8_t* p) {
  uint32_t value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

inline void store_u32(uint8_t* p, uint32_t value) { __builtin_memcpy(p, &value, sizeof value); }
#endif
