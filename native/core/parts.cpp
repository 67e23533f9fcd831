// See parts.h.
#include "core/parts.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace codeword {
namespace {

constexpr size_t kMostParts = 6;

// A codeword this many times farther out than the median belongs to another part. The int8 filter of long vectors
// suffers early; those of short ones have room to spare, and short codewords naturally differ more in length.
double reach_of_part(int64_t d) { return d > 96 ? 4 : 16; }

// Of at most 64 coordinates: equality is checked on all of them anyway.
template <class T>
uint64_t hash_numbers(const T* x, int64_t d) {
  uint64_t hash = 0;
  for (int64_t i = 0; i < d; i += (d + 63) / 64) {
    uint64_t bits = 0;
    std::memcpy(&bits, x + i, sizeof(T));
    hash = (hash ^ bits) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

double square_distance(const float* x, const double* mean, int64_t d) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    for (int64_t j = 0; j < 8; ++j) sums[j] += (x[i + j] - mean[i + j]) * (x[i + j] - mean[i + j]);
  }
  for (; i < d; ++i) sums[0] += (x[i] - mean[i]) * (x[i] - mean[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Squared distances of the numbered codewords to their mean.
std::vector<double> squares_about_mean(const float* codewords, int64_t d, const std::vector<int32_t>& numbers) {
  std::vector<double> mean(static_cast<size_t>(d)), squares;
  for (const int32_t c : numbers) {
    for (int64_t i = 0; i < d; ++i) mean[i] += codewords[c * d + i];
  }
  for (double& m : mean) m /= static_cast<double>(numbers.size());
  squares.reserve(numbers.size());
  for (const int32_t c : numbers) squares.push_back(square_distance(codewords + c * d, mean.data(), d));
  return squares;
}

}  // namespace

template <class T>
std::vector<int32_t> distinct_codewords(const T* codewords, int64_t k, int64_t d) {
  uint64_t size = 4;
  while (size < 2 * static_cast<uint64_t>(k)) size *= 2;
  std::vector<int32_t> table(size, -1), distinct;
  for (int64_t c = 0; c < k; ++c) {
    const T* codeword = codewords + c * d;
    uint64_t at = hash_numbers(codeword, d) & (size - 1);
    while (table[at] >= 0 && std::memcmp(codewords + table[at] * d, codeword, sizeof(T) * static_cast<size_t>(d))) {
      at = (at + 1) & (size - 1);
    }
    if (table[at] >= 0) continue;
    table[at] = static_cast<int32_t>(c);
    distinct.push_back(static_cast<int32_t>(c));
  }
  return distinct;
}
template std::vector<int32_t> distinct_codewords(const float*, int64_t, int64_t);
template std::vector<int32_t> distinct_codewords(const double*, int64_t, int64_t);

std::vector<std::vector<int32_t>> parts_of_like_norm(const float* codewords, int64_t d, std::vector<int32_t> numbers) {
  std::vector<std::vector<int32_t>> parts;
  while (parts.size() + 1 < kMostParts) {
    const std::vector<double> squares = squares_about_mean(codewords, d, numbers);
    std::vector<double> sorted = squares;
    const auto median = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), median, sorted.end());
    const double limit = *median * reach_of_part(d) * reach_of_part(d);
    std::vector<int32_t> near, far;
    for (size_t i = 0; i < numbers.size(); ++i) (squares[i] <= limit ? near : far).push_back(numbers[i]);
    if (far.empty()) break;
    parts.push_back(std::move(near));
    numbers = std::move(far);
  }
  parts.push_back(std::move(numbers));
  return parts;
}

}  // namespace codeword
