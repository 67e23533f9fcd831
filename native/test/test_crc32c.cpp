// crc32c against division by the polynomial, one bit at a time.
#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

uint32_t plain(uint32_t crc, const uint8_t* data, size_t n) {
  crc = ~crc;
  for (size_t i = 0; i < n; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

}  // namespace

TEST(crc32c) {
  const std::vector<uint8_t> data = random_integers<uint8_t>(10000, 0);
  for (size_t n : {0, 1, 7, 8, 9, 15, 16, 100, 1023, 1024, 3071, 3072, 3073, 6144, 6151, 9000}) {
    for (size_t offset : {0, 1, 3, 8}) {
      CHECK(kernels().crc32c(0, &data[offset], n) == plain(0, &data[offset], n));
      CHECK(kernels().crc32c(0x12345678, &data[offset], n) == plain(0x12345678, &data[offset], n));
    }
  }
}

}  // namespace codeword::test
