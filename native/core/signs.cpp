// See signs.h.
#include "core/signs.h"

#include <algorithm>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kGroup = 64;
constexpr int64_t kTileRows = 256;
constexpr int64_t kChunkRows = 4096;
// With fewer queries than this a group of 64 takes longer than they do one by one.
constexpr int64_t kFewest = 14;
// Code bytes whose tables are looked up together: 1 MiB of them, what a second-level cache holds.
constexpr int64_t kBytesAtOnce = 64;

// Where query l of 64 lies in a cache line.
int64_t lane_of(int64_t l) { return 4 * (l % 16) + 2 * (l / 16 % 2) + l / 32; }

// lines (256, 64): 128 + the sums of `weights` (queries, d) of coordinates 8 t to 8 t + 7 over the set bits of a byte.
void fill_lines(const int8_t* weights, int64_t queries, int64_t d, int64_t t, uint8_t* lines) {
  uint8_t bit[8][kGroup] = {};
  for (int64_t l = 0; l < queries; ++l) {
    for (int64_t b = 0; b < 8 && 8 * t + b < d; ++b)
      bit[b][lane_of(l)] = static_cast<uint8_t>(weights[l * d + 8 * t + b]);
  }
  std::fill(lines, lines + kGroup, uint8_t(128));
  for (int value = 1, b = 0; value < 256; ++value) {
    if (value == 2 << b) ++b;
    for (int64_t l = 0; l < kGroup; ++l) {
      lines[value * kGroup + l] = static_cast<uint8_t>(lines[(value - (1 << b)) * kGroup + l] + bit[b][l]);
    }
  }
}

void fill_table(const int8_t* weights, int64_t count, int16_t* table) {  // weights (8 * count)
  for (int64_t t = 0; t < count; ++t, table += 256) {
    table[0] = 0;
    for (int value = 1, b = 0; value < 256; ++value) {
      if (value == 2 << b) ++b;
      table[value] = static_cast<int16_t>(table[value - (1 << b)] + weights[8 * t + b]);
    }
  }
}

}  // namespace

Signs::Signs(const int8_t* weights, int64_t q, int64_t d)
    : q_(q), count_((d + 7) / 8), padded_((d + 63) / 64 * 64), grouped_(q % kGroup < kFewest ? q - q % kGroup : q) {
  const int64_t groups = (grouped_ + kGroup - 1) / kGroup, others = q - grouped_;
  lines_ = allocate_aligned(std::max<int64_t>(64, groups * count_ * 256 * kGroup));
  uint8_t* lines = reinterpret_cast<uint8_t*>(lines_.get());
  parallel_rows(groups * count_, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / count_ * kGroup;
      fill_lines(weights + first * d, std::min(kGroup, grouped_ - first), d, i % count_, lines + i * 256 * kGroup);
    }
  });
  weights_.resize(others * padded_);
  tables_.resize(others * count_ * 256);
  for (int64_t l = 0; l < others; ++l) {
    int8_t* own = weights_.data() + l * padded_;
    std::copy_n(weights + (grouped_ + l) * d, d, own);
    fill_table(own, count_, tables_.data() + l * count_ * 256);
  }
}

// Distances of the rows of a chunk to the 64 queries from `first` on, or those there are.
void Signs::scan_group(int64_t first, const uint8_t* codes, int64_t n, const Scores& scores, int32_t* sums, float* out,
                       int64_t step) const {
  const Kernels& table = kernels();
  const uint8_t* lines = reinterpret_cast<const uint8_t*>(lines_.get()) + first * count_ * 256;
  for (int64_t t = 0; t < count_; t += kBytesAtOnce) {
    const int64_t bytes = std::min(kBytesAtOnce, count_ - t);
    table.scan_signs(codes + t, n, count_ + 2, lines + t * 256 * kGroup, bytes, t > 0, sums);
  }
  for (int64_t l = first; l < std::min(grouped_, first + kGroup); l += 32) {
    float scale[32] = {}, bias[32] = {};
    const int64_t queries = std::min<int64_t>(32, grouped_ - l);
    std::copy_n(scores.scale + l, queries, scale);
    std::copy_n(scores.bias + l, queries, bias);
    table.scan_finish(sums + (l - first) * n, n, queries, scale, bias, out + l * step, step);
  }
}

void Signs::scan_one(int64_t l, const uint8_t* codes, int64_t n, const Scores& scores, int32_t* sums,
                     float* out) const {
  const int64_t own = l - grouped_;
  kernels().scan_signs_one(codes, n, count_ + 2, weights_.data() + own * padded_, tables_.data() + own * count_ * 256,
                           count_, sums);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(sums[i]) * scores.scale[l] + scores.bias[l];
}

void Signs::scan(const uint8_t* codes, int64_t n, const Scores& scores, float* out) const {
  const Kernels& table = kernels();
  const int64_t stride = count_ + 2, tile = count_ <= kBytesAtOnce ? kTileRows : 4 * kTileRows;
  parallel_rows(n, kChunkRows, [&](int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    std::vector<int32_t> sums(tile * kGroup);
    std::vector<float> factor(rows), term(rows);
    for (int64_t i = 0; i < rows; ++i) {
      const uint8_t* side = codes + (begin + i) * stride + count_;
      factor[i] = scores.first[side[0]] * scores.second[side[1]];
      term[i] = scores.terms[side[0]];
    }
    // All rows of the chunk with one group before the next: its tables fill the second-level cache.
    for (int64_t first = 0; first < q_; first += first < grouped_ ? kGroup : 1) {
      const int64_t last = first < grouped_ ? std::min(grouped_, first + kGroup) : first + 1;
      for (int64_t i = 0; i < rows; i += tile) {
        const int64_t count = std::min(tile, rows - i);
        const uint8_t* part = codes + (begin + i) * stride;
        float* to = out + begin + i;
        if (first < grouped_) {
          scan_group(first, part, count, scores, sums.data(), to, n);
        } else {
          scan_one(first, part, count, scores, sums.data(), to + first * n);
        }
        for (int64_t l = first; l < last; ++l) {
          table.rescale(to + l * n, count, 0.0f, factor.data() + i, term.data() + i, scores.after[l], scores.floor);
        }
      }
    }
  });
}

void sign_codes(const float* x, int64_t n, int64_t d, uint8_t* codes, int64_t stride, double* sums) {
  const Kernels& table = kernels();
  parallel_rows(n, rows_per_chunk(4 * d), [&](int64_t begin, int64_t end) {
    table.sign_codes(x + begin * d, end - begin, d, codes + begin * stride, stride, sums + 2 * begin);
  });
}

void grid_codes(const float* x, int64_t n, int64_t d, int bits, uint8_t* indices, double* sums) {
  const Kernels& table = kernels();
  const int64_t scratch = table.grid_codes(nullptr, 0, d, bits, nullptr, nullptr, nullptr);
  parallel_rows(n, 32, [&](int64_t begin, int64_t end) {
    const AlignedBytes memory = allocate_aligned(scratch);
    table.grid_codes(x + begin * d, end - begin, d, bits, indices + begin * d, sums + 2 * begin, memory.get());
  });
}

}  // namespace codeword
