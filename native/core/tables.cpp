// See tables.h.
#include "core/tables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kGroup = 32;         // queries side by side, as in kernels/scan.h
constexpr int64_t kSmallestGroup = 4;  // fewer queries are faster one by one
constexpr int64_t kByteValues = 256;
constexpr int64_t kTileRows = 1024;
constexpr int64_t kUnpackedRows = 64;
// Tables a pass: 48 of 16 KiB stay in a second-level cache of a megabyte.
constexpr int64_t kTablesAtOnce = 48;
constexpr int64_t kLargestSum = std::numeric_limits<int32_t>::max();

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// The nearest integer, ties to even, of 0 <= x < 2^31: adding 1.5 * 2^52 leaves it in the low bits.
uint16_t rounded(double x) { return static_cast<uint16_t>(std::bit_cast<uint64_t>(x + 6755399441055744.0)); }

// Smallest and largest of at least one value; four chains of comparisons side by side.
std::pair<double, double> extremes(const double* begin, const double* end) {
  double low[4], high[4];
  std::fill(low, low + 4, *begin);
  std::fill(high, high + 4, *begin);
  for (; end - begin >= 4; begin += 4) {
    for (int l = 0; l < 4; ++l) {
      low[l] = begin[l] < low[l] ? begin[l] : low[l];
      high[l] = begin[l] > high[l] ? begin[l] : high[l];
    }
  }
  for (; begin < end; ++begin) {
    low[0] = std::min(low[0], *begin);
    high[0] = std::max(high[0], *begin);
  }
  return {*std::min_element(low, low + 4), *std::max_element(high, high + 4)};
}

}  // namespace

struct Tables::Scratch {
  std::vector<double> symbols, tables, low;
};

void Tables::append(const float* codebook, int64_t k, int64_t d, int bits) {
  const int offset = symbols_.empty() ? 0 : symbols_.back().offset + symbols_.back().bits;
  Symbol s{k, d, d_, bits, offset, values_, round_up(k, 16), {}, std::vector<double>(k)};
  s.columns.resize(d * s.step);
  for (int64_t c = 0; c < k; ++c) {
    for (int64_t i = 0; i < d; ++i) s.columns[i * s.step + c] = codebook[c * d + i];
    kernels().pairwise_dot(codebook + c * d, 1, codebook + c * d, 1, d, &s.squares[c]);
  }
  d_ += d;
  values_ += int64_t(1) << bits;
  code_size_ = (offset + bits + 7) / 8;
  symbols_.push_back(std::move(s));
  bits_.push_back(static_cast<uint8_t>(bits));
}

void Tables::choose_layout() {
  bool straddles = false;
  int widest = 0;
  for (const Symbol& s : symbols_) {
    straddles |= s.offset % 8 + s.bits > 8;
    widest = std::max(widest, s.bits);
  }
  layout_ = !straddles ? Layout::bytes : widest <= 8 ? Layout::narrow : Layout::wide;
  const int64_t tables = layout_ == Layout::bytes ? code_size_ : static_cast<int64_t>(symbols_.size());
  table_first_.assign(1, 0);
  for (int64_t t = 0; t < tables; ++t) {
    const int64_t size = layout_ == Layout::wide ? int64_t(1) << symbols_[t].bits : kByteValues;
    table_first_.push_back(table_first_.back() + size);
  }
}

// Values of all symbols one after another; a number that names no codeword is as far as the farthest.
void Tables::symbol_values(const float* query, TableValues values, Scratch& scratch) const {
  const Kernels& table = kernels();
  scratch.symbols.resize(values_);
  for (const Symbol& s : symbols_) {
    double* out = scratch.symbols.data() + s.first;
    if (values != TableValues::square) table.products(query + s.column, s.columns.data(), s.d, s.k, s.step, out);
    switch (values) {
      case TableValues::sqdist:
        for (int64_t c = 0; c < s.k; ++c) out[c] = s.squares[c] - 2.0 * out[c];
        break;
      case TableValues::negative_dot:
        for (int64_t c = 0; c < s.k; ++c) out[c] = 0.0 - out[c];
        break;
      case TableValues::square:
        std::copy(s.squares.begin(), s.squares.end(), out);
    }
    std::fill(out + s.k, out + (int64_t(1) << s.bits), *std::max_element(out, out + s.k));
  }
}

// Values of all tables one after another: a byte's is the sum of its symbols' in their order.
void Tables::table_values(Scratch& scratch) const {
  scratch.tables.assign(table_first_.back(), 0.0);
  for (size_t j = 0; j < symbols_.size(); ++j) {
    const Symbol& s = symbols_[j];
    const double* from = scratch.symbols.data() + s.first;
    if (layout_ == Layout::wide) {
      std::copy(from, from + (int64_t(1) << s.bits), scratch.tables.data() + table_first_[j]);
      continue;
    }
    const int64_t t = layout_ == Layout::bytes ? s.offset / 8 : static_cast<int64_t>(j);
    const int shift = layout_ == Layout::bytes ? s.offset % 8 : 0, mask = (1 << s.bits) - 1;
    double* to = scratch.tables.data() + table_first_[t];
    if (shift == 0) {
      for (int64_t v = 0; v < kByteValues; ++v) to[v] = from[v & mask];
    } else {
      for (int64_t v = 0; v < kByteValues; ++v) to[v] += from[v >> shift & mask];
    }
  }
}

// One step for all tables of a query: the widest range becomes as many steps as 16 bits and the sums' 31 bits hold.
// Each table starts at its smallest value; those add up to the bias.
void Tables::build_query(const float* query, int64_t l, TableValues values, double multiplier, double constant,
                         uint16_t* entries) {
  thread_local Scratch scratch;
  symbol_values(query, values, scratch);
  table_values(scratch);
  const auto tables = static_cast<int64_t>(table_first_.size()) - 1;
  scratch.low.resize(tables);
  double range = 0, bias = 0;
  for (int64_t t = 0; t < tables; ++t) {
    const auto [low, high] =
        extremes(scratch.tables.data() + table_first_[t], scratch.tables.data() + table_first_[t + 1]);
    scratch.low[t] = low;
    range = std::max(range, high - low);
    bias += low;
  }
  const auto limit = static_cast<double>(std::min<int64_t>(65535, kLargestSum / tables));
  double inverse = limit / range, scale = range / limit;
  if (!std::isfinite(inverse)) inverse = scale = 0;
  for (int64_t t = 0; t < tables; ++t) {
    for (int64_t i = table_first_[t]; i < table_first_[t + 1]; ++i) {
      entries[i] = rounded((scratch.tables[i] - scratch.low[t]) * inverse);
    }
  }
  bias = bias * multiplier + constant;
  // The smallest squared distance there is cannot be negative; rounding can make it so.
  if (values == TableValues::sqdist) bias = std::max(bias, 0.0);
  scale_[l] = static_cast<float>(scale * multiplier);
  bias_[l] = static_cast<float>(bias);
}

// The entries of a group's queries (32, all), side by side as kernels/scan.h wants them.
void Tables::interleave(const uint16_t* from, int64_t group, int64_t first, int64_t last) {
  const int64_t all = table_first_.back(), queries = std::min(kGroup, grouped_ - group * kGroup);
  const uint16_t* lanes = from + group * kGroup * all;
  auto* to = reinterpret_cast<uint16_t*>(entries_.get()) + group * kGroup * all;
  for (int64_t i = first; i < last; ++i) {
    for (int64_t l = 0; l < queries; ++l) to[i * kGroup + (l < 16 ? 2 * l : 2 * (l - 16) + 1)] = lanes[l * all + i];
  }
}

void Tables::build(const float* queries, int64_t q, TableValues values, const double* multiplier,
                   const double* constant) {
  choose_layout();
  q_ = q;
  const int64_t rest = q % kGroup, all = table_first_.back();
  grouped_ = layout_ == Layout::wide ? 0 : rest < kSmallestGroup ? q - rest : q;
  const int64_t groups = (grouped_ + kGroup - 1) / kGroup;
  single_first_ = groups * kGroup * all;
  const int64_t bytes = (single_first_ + (q - grouped_) * all) * 2;
  entries_ = allocate_aligned(std::max<int64_t>(bytes, 64));
  std::fill(entries_.get(), entries_.get() + bytes, 0);
  scale_.assign(round_up(q, kGroup), 0.0f);
  bias_.assign(round_up(q, kGroup), 0.0f);
  std::vector<uint16_t> apart(grouped_ * all);
  parallel_for(q, [&](int64_t l) {
    auto* entries = reinterpret_cast<uint16_t*>(entries_.get()) + single_first_ + (l - grouped_) * all;
    build_query(queries + l * d_, l, values, multiplier[l], constant[l], l < grouped_ ? &apart[l * all] : entries);
  });
  const int64_t pieces = (all + kByteValues - 1) / kByteValues;
  parallel_for(groups * pieces, [&](int64_t chunk) {
    const int64_t first = chunk % pieces * kByteValues;
    interleave(apart.data(), chunk / pieces, first, std::min(all, first + kByteValues));
  });
}

void Tables::scan_group(const uint8_t* bytes, int64_t n, int64_t stride, int64_t step, int64_t group,
                        float* out) const {
  const Kernels& table = kernels();
  thread_local std::vector<int32_t> sums;
  sums.resize(kTileRows * kGroup);
  const auto tables = static_cast<int64_t>(table_first_.size()) - 1;
  const auto* entries = reinterpret_cast<const uint16_t*>(entries_.get()) + group * kGroup * table_first_.back();
  const int64_t passes = (tables + kTablesAtOnce - 1) / kTablesAtOnce, each = (tables + passes - 1) / passes;
  for (int64_t t = 0; t < tables; t += each) {
    table.scan_bytes(bytes + t, n, stride, entries + t * kByteValues * kGroup, std::min(each, tables - t), t > 0,
                     sums.data());
  }
  const int64_t l = group * kGroup;
  table.scan_finish(sums.data(), n, std::min(kGroup, grouped_ - l), &scale_[l], &bias_[l], out + l * step, step);
}

void Tables::scan_single(const uint8_t* bytes, int64_t n, int64_t stride, int64_t l, float* out) const {
  const auto* entries =
      reinterpret_cast<const uint16_t*>(entries_.get()) + single_first_ + (l - grouped_) * table_first_.back();
  const auto tables = static_cast<int64_t>(table_first_.size()) - 1;
  for (int64_t i = 0; i < n; ++i, bytes += stride) {
    const uint16_t* table = entries;
    int32_t even = 0, odd = 0;
    int64_t t = 0;
    for (; t + 4 <= tables; t += 4, table += 4 * kByteValues) {
      even += table[bytes[t]] + table[2 * kByteValues + bytes[t + 2]];
      odd += table[kByteValues + bytes[t + 1]] + table[3 * kByteValues + bytes[t + 3]];
    }
    for (; t < tables; ++t, table += kByteValues) even += table[bytes[t]];
    out[i] = static_cast<float>(even + odd) * scale_[l] + bias_[l];
  }
}

void Tables::scan_wide(const uint32_t* words, int64_t n, int64_t l, float* out) const {
  const auto* entries =
      reinterpret_cast<const uint16_t*>(entries_.get()) + single_first_ + (l - grouped_) * table_first_.back();
  const auto tables = static_cast<int64_t>(table_first_.size()) - 1;
  for (int64_t i = 0; i < n; ++i, words += tables) {
    int32_t sum = 0;
    for (int64_t t = 0; t < tables; ++t) sum += entries[table_first_[t] + words[t]];
    out[i] = static_cast<float>(sum) * scale_[l] + bias_[l];
  }
}

// Rows [first, first + n) of `codes`, n <= kTileRows, for one group, or all queries where `group` is negative.
void Tables::scan_tile(const uint8_t* codes, int64_t first, int64_t n, int64_t step, int64_t group, float* out) const {
  thread_local std::vector<uint32_t> words;
  thread_local std::vector<uint8_t> narrow;
  const auto m = static_cast<int64_t>(symbols_.size());
  const uint8_t* bytes = codes + first * code_size_;
  int64_t stride = code_size_;
  if (layout_ != Layout::bytes) {
    words.resize((layout_ == Layout::wide ? kTileRows : kUnpackedRows) * m);
    if (layout_ == Layout::wide) kernels().unpack_bits(bytes, bits_.data(), n, m, code_size_, words.data());
  }
  if (layout_ == Layout::narrow) {
    narrow.resize(kTileRows * m);
    for (int64_t i = 0; i < n; i += kUnpackedRows) {
      const int64_t rows = std::min(kUnpackedRows, n - i);
      kernels().unpack_bits(bytes + i * code_size_, bits_.data(), rows, m, code_size_, words.data());
      std::copy(words.begin(), words.begin() + rows * m, narrow.begin() + i * m);
    }
    bytes = narrow.data();
    stride = m;
  }
  const int64_t groups = (grouped_ + kGroup - 1) / kGroup;
  for (int64_t g = std::max<int64_t>(group, 0); g < (group < 0 ? groups : group + 1) && g < groups; ++g) {
    scan_group(bytes, n, stride, step, g, out + first);
  }
  if (group >= 0 && group < groups) return;
  for (int64_t l = grouped_; l < q_; ++l) {
    float* row = out + l * step + first;
    if (layout_ == Layout::wide) {
      scan_wide(words.data(), n, l, row);
    } else {
      scan_single(bytes, n, stride, l, row);
    }
  }
}

// Group by group, so that a group's tables stay in the cache; all groups a tile where codes must be unpacked first.
void Tables::scan(const uint8_t* codes, int64_t n, float* out) const {
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  const int64_t groups = layout_ != Layout::bytes ? 1 : (grouped_ + kGroup - 1) / kGroup + (q_ > grouped_);
  parallel_for(tiles * groups, [&](int64_t chunk) {
    const int64_t first = chunk % tiles * kTileRows;
    const int64_t group = layout_ != Layout::bytes ? -1 : chunk / tiles;
    scan_tile(codes, first, std::min(kTileRows, n - first), n, group, out);
  });
}

}  // namespace codeword
