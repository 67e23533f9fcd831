// pack_bits and unpack_bits against one bit at a time.
#include "check.h"
#include "core/bits.h"
#include "dispatch.h"

namespace codeword::test {
namespace {

struct Case {
  int64_t n, m;
  std::vector<uint8_t> bits;
  std::vector<uint32_t> indices;  // (n, m)
  std::vector<uint8_t> codes;     // (n, size)
  int64_t size;
};

Case make_case(int64_t n, std::vector<uint8_t> bits) {
  Case c{n, static_cast<int64_t>(bits.size()), bits, {}, {}, 0};
  c.size = packed_size(c.bits.data(), c.m);
  c.indices = random_integers<uint32_t>(n * c.m, static_cast<uint32_t>(c.m));
  c.codes.assign(n * c.size, 0);
  for (int64_t i = 0; i < n; ++i) {
    int64_t position = 0;
    for (int64_t j = 0; j < c.m; ++j) {
      for (int b = 0; b < bits[j]; ++b, ++position) {
        const int bit = c.indices[i * c.m + j] >> b & 1;
        c.codes[i * c.size + position / 8] |= bit << position % 8;
      }
    }
  }
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int64_t m : {1, 2, 3, 7, 8, 9, 16, 17, 33, 65}) {
    for (uint8_t width = 1; width <= 32; ++width) all.push_back(make_case(3, std::vector<uint8_t>(m, width)));
    std::vector<uint8_t> mixed = random_integers<uint8_t>(m, 1);
    for (uint8_t& width : mixed) width = 1 + width % 32;
    all.push_back(make_case(5, mixed));
  }
  return all;
}

}  // namespace

TEST(pack_bits) {
  for (const Case& c : cases()) {
    std::vector<uint8_t> codes(c.codes.size());
    kernels().pack_bits(c.indices.data(), c.bits.data(), c.n, c.m, c.size, codes.data());
    CHECK(codes == c.codes);
  }
}

TEST(unpack_bits) {
  for (const Case& c : cases()) {
    std::vector<uint32_t> indices(c.indices.size());
    kernels().unpack_bits(c.codes.data(), c.bits.data(), c.n, c.m, c.size, indices.data());
    for (int64_t i = 0; i < c.n * c.m; ++i) {
      CHECK(indices[i] == (c.indices[i] & ((uint64_t(1) << c.bits[i % c.m]) - 1)));
    }
  }
}

}  // namespace codeword::test
