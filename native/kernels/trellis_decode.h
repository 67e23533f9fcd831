// trellis_decode: every coordinate is a look-up by 16 bits of the code, so all are independent of each other.

struct TrellisReader {
  uint8_t* bytes;  // the last two bytes of the code, the code, zeros
  int32_t* ends;   // (coordinates) first bit of `bytes` of the 16 that a coordinate is looked up by
};

inline int64_t carve_reader(const TrellisCode& code, void* memory, TrellisReader& r) {
  Carver carver = {static_cast<char*>(memory)};
  r.bytes = carver.take<uint8_t>(code.code_size + 66);
  r.ends = carver.take<int32_t>(code.coordinates);
  return carver.used;
}

inline void fill_reader(const TrellisCode& code, TrellisReader& r) {
  int32_t end = 0;
  for (int64_t t = 0; t < code.steps; ++t) {
    end += code.widths[t];
    for (int64_t j = code.firsts[t]; j < code.firsts[t + 1]; ++j) r.ends[j] = end;
  }
  __builtin_memset(r.bytes, 0, code.code_size + 66);
}

int64_t trellis_decode(const TrellisCode& code, const uint8_t* codes, int64_t n, float* x, void* scratch) {
  TrellisReader r;
  const int64_t bytes = carve_reader(code, scratch, r);
  if (!scratch) return bytes;
  fill_reader(code, r);
  const int64_t size = code.code_size;
  for (int64_t i = 0; i < n; ++i, codes += size, x += code.d) {
    for (int64_t b = 0; b < 2; ++b) r.bytes[b] = codes[(2 * size - 2 + b) % size];
    __builtin_memcpy(r.bytes + 2, codes, size);
    if (code.coordinates < code.d) __builtin_memcpy(x, code.fill, code.d * sizeof(float));
    for (int64_t j = 0; j < code.coordinates; ++j) {
      const uint32_t bits = load_u32(r.bytes + (r.ends[j] >> 3)) >> (r.ends[j] & 7);
      const uint32_t index = (bits >> 8 & 255) ^ code.folds[bits & 255];
      x[code.columns[j]] =
          static_cast<float>(code.values[code.tables[j] * 256 + index]) * code.scales[j] + code.means[j];
    }
  }
  return bytes;
}
