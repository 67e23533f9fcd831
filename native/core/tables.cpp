// See tables.h.
#include "core/tables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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
// Entries a pass: 48 tables of 256 for 32 queries, 768 KiB, stay in a second-level cache of a megabyte.
constexpr int64_t kEntriesAtOnce = 48 * kByteValues;
constexpr int64_t kLargestSum = std::numeric_limits<int32_t>::max();

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// The nearest integer, ties to even, of 0 <= x < 2^31: adding 1.5 * 2^52 leaves it in the low bits.
uint16_t rounded(double x) { return static_cast<uint16_t>(std::bit_cast<uint64_t>(x + 6755399441055744.0)); }

// Moves the upper half of every 2 * bits bits to the next lane: lanes of `lane` bits, two strings of `bits` each
// before.
struct Apart {
  uint64_t low = 0, high = 0;
  int shift;

  Apart(int bits, int lane) : shift(lane - bits) {
    for (int at = 0; at < 64; at += 2 * lane) low |= ((uint64_t(1) << bits) - 1) << at;
    high = low << lane;
  }
  uint64_t operator()(uint64_t x) const { return (x & low) | (x << shift & high); }
};

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

void TableCodebooks::append(const float* codebook, int64_t k, int64_t d, int bits, bool shared) {
  const int offset = symbols_.empty() ? 0 : symbols_.back().offset + symbols_.back().bits;
  Symbol s{k, d, shared ? 0 : d_, bits, offset, values_, round_up(k, 16), {}, std::vector<double>(k)};
  s.columns.resize(d * s.step);
  for (int64_t c = 0; c < k; ++c) {
    for (int64_t i = 0; i < d; ++i) s.columns[i * s.step + c] = codebook[c * d + i];
    kernels().pairwise_dot(codebook + c * d, 1, codebook + c * d, 1, d, &s.squares[c]);
  }
  d_ = shared ? d : d_ + d;
  values_ += int64_t(1) << bits;
  code_size_ = (offset + bits + 7) / 8;
  symbols_.push_back(std::move(s));
  bits_.push_back(static_cast<uint8_t>(bits));
}

void TableCodebooks::finish() {
  bool straddles = false;
  int widest = 0;
  for (const Symbol& s : symbols_) {
    straddles |= s.offset % 8 + s.bits > 8;
    widest = std::max(widest, s.bits);
  }
  const bool same = std::all_of(bits_.begin(), bits_.end(), [&](uint8_t b) { return b == bits_[0]; });
  common_width_ = same ? bits_[0] : 0;
  layout_ = !straddles ? Layout::bytes : widest <= 8 ? Layout::narrow : Layout::wide;
  const int64_t tables = layout_ == Layout::bytes ? code_size_ : static_cast<int64_t>(symbols_.size());
  table_first_.assign(1, 0);
  size_ = layout_ == Layout::bytes ? kByteValues : int64_t(1) << widest;
  for (int64_t t = 0; t < tables; ++t) {
    const int64_t size = layout_ == Layout::wide ? int64_t(1) << symbols_[t].bits : size_;
    table_first_.push_back(table_first_.back() + size);
  }
}

// Values of all symbols one after another; a number that names no codeword is as far as the farthest.
void TableCodebooks::symbol_values(const float* query, TableValues values, Scratch& scratch) const {
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
    const int64_t all = int64_t(1) << s.bits;
    if (s.k < all) std::fill(out + s.k, out + all, extremes(out, out + s.k).second);
  }
}

// Values of all tables one after another: a byte's is the sum of its symbols' in their order.
void TableCodebooks::table_values(Scratch& scratch) const {
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
      for (int64_t v = 0; v < size_; ++v) to[v] = from[v & mask];
    } else {
      for (int64_t v = 0; v < size_; ++v) to[v] += from[v >> shift & mask];
    }
  }
}

// Symbols of 1 to 8 bits, one byte each. Eight of the same width fill as many bytes as a symbol has bits: the halves,
// the quarters and the eighths of that string move apart.
void TableCodebooks::unpack_narrow(const uint8_t* codes, int64_t n, uint8_t* symbols) const {
  const auto m = static_cast<int64_t>(symbols_.size());
  thread_local std::vector<uint32_t> words;
  words.resize(m);
  const int b = common_width_;
  const Apart halves(4 * b, 32), quarters(2 * b, 16), eighths(b, 8);
  for (int64_t i = 0; i < n; ++i, codes += code_size_, symbols += m) {
    int64_t j = 0, at = 0;
    for (; b && j + 8 <= m && at + 8 <= code_size_; j += 8, at += b) {
      uint64_t x;
      std::memcpy(&x, codes + at, 8);
      x = eighths(quarters(halves(x)));
      std::memcpy(symbols + j, &x, 8);
    }
    if (j == m) continue;
    kernels().unpack_bits(codes + at, bits_.data() + j, 1, m - j, code_size_ - at, words.data());
    std::copy(words.begin(), words.begin() + (m - j), symbols + j);
  }
}

// One step for all tables of a query: the widest range becomes as many steps as 16 bits and the sums' 31 bits hold.
// Each table starts at its smallest value; those add up to the bias.
void Tables::build_query(const float* query, int64_t l, TableValues values, double multiplier, double constant,
                         uint16_t* entries) {
  thread_local TableCodebooks::Scratch scratch;
  books_->symbol_values(query, values, scratch);
  books_->table_values(scratch);
  const std::vector<int64_t>& first = books_->table_first_;
  const int64_t tables = books_->tables();
  scratch.low.resize(tables);
  double range = 0, bias = 0;
  for (int64_t t = 0; t < tables; ++t) {
    const auto [low, high] = extremes(scratch.tables.data() + first[t], scratch.tables.data() + first[t + 1]);
    scratch.low[t] = low;
    range = std::max(range, high - low);
    bias += low;
  }
  const auto limit = static_cast<double>(std::min<int64_t>(65535, kLargestSum / tables));
  double inverse = limit / range, scale = range / limit;
  if (!std::isfinite(inverse)) inverse = scale = 0;
  for (int64_t t = 0; t < tables; ++t) {
    for (int64_t i = first[t]; i < first[t + 1]; ++i) {
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
  const int64_t all = books_->entries(), queries = std::min(kGroup, grouped_ - group * kGroup);
  const uint16_t* lanes = from + group * kGroup * all;
  auto* to = reinterpret_cast<uint16_t*>(groups_.get()) + group * kGroup * all;
  for (int64_t i = first; i < last; ++i) {
    for (int64_t l = 0; l < queries; ++l) to[i * kGroup + (l < 16 ? 2 * l : 2 * (l - 16) + 1)] = lanes[l * all + i];
  }
}

Tables::Tables(std::shared_ptr<const TableCodebooks> books, const float* queries, int64_t q, TableValues values,
               const double* multiplier, const double* constant)
    : books_(std::move(books)), q_(q), scale_(round_up(q, kGroup)), bias_(round_up(q, kGroup)) {
  const int64_t rest = q % kGroup, all = books_->entries();
  grouped_ = books_->layout_ == Layout::wide ? 0 : rest < kSmallestGroup ? q - rest : q;
  const int64_t groups = (grouped_ + kGroup - 1) / kGroup, bytes = groups * kGroup * all * 2;
  groups_ = allocate_aligned(std::max<int64_t>(bytes, 64));
  std::fill(groups_.get(), groups_.get() + bytes, 0);
  std::vector<uint16_t> apart(q * all);
  parallel_for(q, [&](int64_t l) {
    build_query(queries + l * books_->d(), l, values, multiplier[l], constant[l], &apart[l * all]);
  });
  singles_.assign(apart.begin() + grouped_ * all, apart.end());
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
  const int64_t tables = books_->tables();
  const auto* entries = reinterpret_cast<const uint16_t*>(groups_.get()) + group * kGroup * books_->entries();
  const int64_t size = books_->size_, most = kEntriesAtOnce / size;
  const int64_t passes = (tables + most - 1) / most, each = (tables + passes - 1) / passes;
  for (int64_t t = 0; t < tables; t += each) {
    table.scan_bytes(bytes + t, n, stride, entries + t * size * kGroup, size, std::min(each, tables - t), t > 0,
                     sums.data());
  }
  const int64_t l = group * kGroup;
  table.scan_finish(sums.data(), n, std::min(kGroup, grouped_ - l), &scale_[l], &bias_[l], out + l * step, step);
}

void Tables::scan_single(const uint8_t* bytes, int64_t n, int64_t stride, int64_t l, float* out) const {
  const uint16_t* entries = singles_.data() + (l - grouped_) * books_->entries();
  const int64_t tables = books_->tables(), size = books_->size_;
  for (int64_t i = 0; i < n; ++i, bytes += stride) {
    const uint16_t* table = entries;
    uint32_t even = 0, odd = 0;
    int64_t t = 0;
    for (; t + 8 <= tables; t += 8) {
      for (int64_t u = 0; u < 8; u += 2, table += 2 * size) {
        even += table[bytes[t + u]];
        odd += table[size + bytes[t + u + 1]];
      }
    }
    for (; t < tables; ++t, table += size) even += table[bytes[t]];
    out[i] = static_cast<float>(static_cast<int32_t>(even + odd)) * scale_[l] + bias_[l];
  }
}

void Tables::scan_wide(const uint32_t* words, int64_t n, int64_t l, float* out) const {
  const uint16_t* entries = singles_.data() + (l - grouped_) * books_->entries();
  const int64_t tables = books_->tables();
  for (int64_t i = 0; i < n; ++i, words += tables) {
    uint32_t sum = 0;
    for (int64_t t = 0; t < tables; ++t) sum += entries[books_->table_first_[t] + words[t]];
    out[i] = static_cast<float>(static_cast<int32_t>(sum)) * scale_[l] + bias_[l];
  }
}

// Rows [first, first + n) of `codes`, n <= kTileRows, for one group, or all queries where `group` is negative.
void Tables::scan_tile(const uint8_t* codes, int64_t first, int64_t n, int64_t step, int64_t group, float* out) const {
  thread_local std::vector<uint32_t> words;
  thread_local std::vector<uint8_t> narrow;
  const auto m = static_cast<int64_t>(books_->symbols_.size());
  const Layout layout = books_->layout_;
  const uint8_t* bytes = codes + first * code_size();
  int64_t stride = code_size();
  if (layout == Layout::wide) {
    words.resize(kTileRows * m);
    kernels().unpack_bits(bytes, books_->bits_.data(), n, m, stride, words.data());
  } else if (layout == Layout::narrow) {
    narrow.resize(kTileRows * m);
    books_->unpack_narrow(bytes, n, narrow.data());
    bytes = narrow.data();
    stride = m;
  }
  const int64_t groups = (grouped_ + kGroup - 1) / kGroup;
  const int64_t last = group < 0 ? groups : std::min(group + 1, groups);
  for (int64_t g = std::max<int64_t>(group, 0); g < last; ++g) scan_group(bytes, n, stride, step, g, out + first);
  if (group >= 0 && group < groups) return;
  for (int64_t l = grouped_; l < q_; ++l) {
    float* row = out + l * step + first;
    if (layout == Layout::wide) {
      scan_wide(words.data(), n, l, row);
    } else {
      scan_single(bytes, n, stride, l, row);
    }
  }
}

// Group by group, so that a group's tables stay in the cache; all groups a tile where codes must be unpacked first.
void Tables::scan(const uint8_t* codes, int64_t n, float* out) const {
  const bool unpacked = books_->layout_ != Layout::bytes;
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  const int64_t groups = unpacked ? 1 : (grouped_ + kGroup - 1) / kGroup + (q_ > grouped_);
  parallel_for(tiles * groups, [&](int64_t chunk) {
    const int64_t first = chunk % tiles * kTileRows;
    scan_tile(codes, first, std::min(kTileRows, n - first), n, unpacked ? -1 : chunk / tiles, out);
  });
}

}  // namespace codeword
