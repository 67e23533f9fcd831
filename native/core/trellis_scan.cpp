// See trellis_scan.h.
#include "core/trellis_scan.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kGroup = 32, kBlock = 64, kOverread = 64;
constexpr int64_t kRows = 1024;       // a chunk for one query
constexpr int64_t kRowsOfMany = 192;  // and for more: a multiple of the tiles of kernels/trellis_scan.h
constexpr int64_t kExactRows = 256;   // a chunk of exact products

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

TrellisTables::TrellisTables(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods,
                             std::vector<int32_t> order, std::vector<uint8_t> rise)
    : kernels_(&kernels()),
      code_(code.code()),
      values_(std::move(values)),
      order_(std::move(order)),
      rise_(std::move(rise)) {
  const int64_t blocks = (code_.coordinates + kBlock - 1) / kBlock;
  require(static_cast<int64_t>(values_.size()) == code.tables() * 256,
          "values must have 256 for each table of the code");
  require(periods.size() == 2 && (periods[1] == 0 || (periods[0] != 0 && periods[0] != periods[1])),
          "periods must be two different ones, one and 0, or 0 and 0");
  require(static_cast<int64_t>(order_.size()) == blocks && static_cast<int64_t>(rise_.size()) == blocks,
          "order and rise must have one entry for each 64 coordinates");
  std::vector<int32_t> sorted = order_;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t b = 0; b < blocks; ++b) require(sorted[b] == b, "order must name every block once");
  for (int64_t b = 0; b < blocks; ++b) {
    require(rise_[order_[b]] < 32 && (b == 0 || rise_[order_[b]] <= rise_[order_[b - 1]]),
            "rise must fall along order");
    require(b < blocks - 1 || rise_[order_[b]] == 0, "rise must fall to 0");
  }
  scan_ = {.values = values_.data(),
           .periods = {periods[0], periods[1]},
           .order = order_.data(),
           .rise = rise_.data(),
           .prepared = nullptr};
  storage_ = allocate_aligned(kernels_->trellis_scan_prepare(code_, scan_, nullptr));
  kernels_->trellis_scan_prepare(code_, scan_, storage_.get());
}

TrellisQueries::TrellisQueries(const TrellisTables& tables, const int8_t* weights, int64_t queries,
                               std::vector<float> scale, std::vector<float> bias)
    : kernels_(tables.kernels_),
      code_(tables.code_),
      scan_(tables.scan_),
      queries_(queries),
      scale_(std::move(scale)),
      bias_(std::move(bias)) {
  weights_ =
      allocate_aligned(std::max<int64_t>(64, kernels_->trellis_scan_weights(code_, scan_, weights, queries, nullptr)));
  kernels_->trellis_scan_weights(code_, scan_, weights, queries, weights_.get());
}

int64_t TrellisQueries::overread() const { return kOverread; }

int64_t TrellisQueries::chosen_bytes(int64_t count) const {
  return kernels_->trellis_scan_choose(code_, nullptr, nullptr, count, nullptr);
}

void TrellisQueries::choose(const int32_t* which, int64_t count, void* chosen) const {
  kernels_->trellis_scan_choose(code_, weights_.get(), which, count, chosen);
}

int64_t TrellisQueries::scratch_bytes(int64_t count, int64_t n) const {
  const int64_t sums = (count + kGroup - 1) / kGroup * kGroup * n * static_cast<int64_t>(sizeof(int32_t));
  return (sums + 63) / 64 * 64 + kernels_->trellis_scan(code_, scan_, nullptr, 0, nullptr, 0, nullptr, nullptr);
}

void TrellisQueries::score(const void* chosen, const int32_t* which, int64_t count, const uint8_t* codes, int64_t n,
                           float* out, void* scratch) const {
  score(chosen, which, count, codes, n, out, n, scratch);
}

void TrellisQueries::score(const void* chosen, const int32_t* which, int64_t count, const uint8_t* codes, int64_t n,
                           float* out, int64_t step, void* scratch) const {
  auto* sums = static_cast<int32_t*>(scratch);
  const int64_t bytes = (count + kGroup - 1) / kGroup * kGroup * n * static_cast<int64_t>(sizeof(int32_t));
  void* more = static_cast<char*>(scratch) + (bytes + 63) / 64 * 64;
  kernels_->trellis_scan(code_, scan_, chosen, count, codes, n, sums, more);
  if (count == 1) {
    const float scale = scale_[which[0]], bias = bias_[which[0]];
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(sums[i]) * scale + bias;
    return;
  }
  float scale[kGroup] = {}, bias[kGroup] = {};
  for (int64_t l = 0; l < count; l += kGroup) {
    const int64_t used = std::min(kGroup, count - l);
    for (int64_t i = 0; i < used; ++i) {
      scale[i] = scale_[which[l + i]];
      bias[i] = bias_[which[l + i]];
    }
    kernels_->scan_finish(sums + l * n, n, used, scale, bias, out + l * step, step);
  }
}

void TrellisQueries::scan(const uint8_t* codes, int64_t n, float* out) const {
  if (!queries_) return;
  const int64_t size = code_.code_size;
  const int64_t copied = std::min(n, kOverread / size + 1);  // rows at the end, which the kernel would read beyond
  std::vector<uint8_t> tail(copied * size + kOverread);
  std::copy(codes + (n - copied) * size, codes + n * size, tail.begin());
  std::vector<int32_t> all(queries_);
  std::iota(all.begin(), all.end(), 0);
  const AlignedBytes chosen = allocate_aligned(chosen_bytes(queries_));
  choose(all.data(), queries_, chosen.get());
  const int64_t rows = queries_ == 1 ? kRows : kRowsOfMany, chunks = (n - copied + rows - 1) / rows;
  parallel_for(chunks + 1, [&](int64_t c) {
    char* scratch = thread_scratch(scratch_bytes(queries_, rows));
    if (c == chunks)
      return score(chosen.get(), all.data(), queries_, tail.data(), copied, out + n - copied, n, scratch);
    const int64_t count = std::min(rows, n - copied - c * rows);
    score(chosen.get(), all.data(), queries_, codes + c * rows * size, count, out + c * rows, n, scratch);
  });
}

void trellis_products(const Trellis& trellis, const uint8_t* codes, int64_t n, bool each, const int16_t* weights,
                      int64_t queries, int64_t* sums) {
  const Kernels& table = kernels();
  const TrellisCode& code = trellis.code();
  const int64_t scratch = table.trellis_dot(code, nullptr, 0, nullptr, 0, nullptr, 0, nullptr);
  const int64_t chunks = (n + kExactRows - 1) / kExactRows, batches = each ? queries : 1;
  parallel_for(chunks * batches, [&](int64_t chunk) {
    const int64_t l = chunk / chunks, begin = chunk % chunks * kExactRows, rows = std::min(kExactRows, n - begin);
    table.trellis_dot(code, codes + (l * n + begin) * code.code_size, rows, weights + l * code.coordinates,
                      each ? 1 : queries, sums + l * n + begin, n, thread_scratch(scratch));
  });
}

}  // namespace codeword
