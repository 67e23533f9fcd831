// See total.h.
#include "core/total.h"

#include <algorithm>
#include <bit>

namespace codeword {
namespace {

constexpr int64_t kAdditionsBeforeCarry = int64_t(1) << 30;  // each below 2^32 in a digit: below 2^62 together

void add_value(double value, int64_t* digits) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const uint64_t exponent = bits >> 52, fraction = bits & ((uint64_t(1) << 52) - 1);
  const uint64_t mantissa = exponent ? fraction | (uint64_t(1) << 52) : fraction;
  const uint64_t place = exponent ? exponent - 1 : 0, shift = place & 31;
  // 53 bits shifted by at most 31 reach into three digits.
  const uint64_t low = mantissa << shift, high = shift ? mantissa >> (64 - shift) : 0;
  int64_t* digit = digits + (place >> 5);
  digit[0] += static_cast<int64_t>(low & 0xffffffff);
  digit[1] += static_cast<int64_t>(low >> 32);
  digit[2] += static_cast<int64_t>(high);
}

void carry(int64_t* digits) {
  for (int64_t i = 0; i + 1 < kTotalDigits; ++i) {
    digits[i + 1] += digits[i] >> 32;
    digits[i] &= 0xffffffff;
  }
}

}  // namespace

void add_to_total(const double* values, const float* weights, int64_t n, int64_t* digits) {
  for (int64_t start = 0; start < n; start += kAdditionsBeforeCarry) {
    const int64_t stop = std::min(n, start + kAdditionsBeforeCarry);
    for (int64_t i = start; i < stop; ++i) add_value(weights ? values[i] * weights[i] : values[i], digits);
    carry(digits);
  }
}

}  // namespace codeword
