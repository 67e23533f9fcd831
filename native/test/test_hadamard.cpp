// hadamard against its definition, bit for bit.
#include <cstring>

#include "check.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

void plain(float* row, int64_t length) {
  for (int64_t distance = 1; distance < length; distance *= 2) {
    for (int64_t i = 0; i < length; ++i) {
      if (i & distance) continue;
      const float a = row[i], b = row[i + distance];
      row[i] = a + b;
      row[i + distance] = a - b;
    }
  }
}

}  // namespace

TEST(hadamard) {
  for (int64_t length = 1; length <= 16384; length *= 2) {
    for (int64_t n : {1, 3}) {
      std::vector<float> rows = random_floats(n * length, static_cast<uint32_t>(length)), expected = rows;
      for (int64_t i = 0; i < n; ++i) plain(&expected[i * length], length);
      kernels().hadamard(rows.data(), n, length);
      CHECK(std::memcmp(rows.data(), expected.data(), rows.size() * sizeof(float)) == 0);
    }
  }
}

}  // namespace codeword::test
