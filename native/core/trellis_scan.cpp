// See trellis_scan.h.
#include "core/trellis_scan.h"

#include <algorithm>
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

TrellisQueries::TrellisQueries(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods,
                               std::vector<int8_t> weights, int64_t queries, std::vector<int32_t> order,
                               std::vector<uint8_t> rise)
    : kernels_(&kernels()),
      code_(code.code()),
      values_(std::move(values)),
      weights_(std::move(weights)),
      queries_(queries),
      order_(std::move(order)),
      rise_(std::move(rise)) {
  const int64_t coordinates = code_.coordinates, blocks = (coordinates + kBlock - 1) / kBlock;
  require(static_cast<int64_t>(values_.size()) == code.tables() * 256,
          "values must have 256 for each table of the code");
  require(periods.size() == 2 && (periods[1] == 0 || (periods[0] != 0 && periods[0] != periods[1])),
          "periods must be two different ones, one and 0, or 0 and 0");
  require(static_cast<int64_t>(weights_.size()) == queries * coordinates, "weights must have one for each coordinate");
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
  scan_ = {.queries = queries,
           .values = values_.data(),
           .periods = {periods[0], periods[1]},
           .weights = weights_.data(),
           .order = order_.data(),
           .rise = rise_.data(),
           .prepared = nullptr};
  if (!queries) return;
  storage_ = allocate_aligned(kernels_->trellis_scan_prepare(code_, scan_, nullptr));
  kernels_->trellis_scan_prepare(code_, scan_, storage_.get());
}

void TrellisQueries::scan(const uint8_t* codes, int64_t n, const float* scale, const float* bias, float* out) const {
  if (!queries_) return;
  const int64_t size = code_.code_size, groups = (queries_ + kGroup - 1) / kGroup;
  const int64_t copied = std::min(n, kOverread / size + 1);  // rows at the end, which the kernel would read beyond
  std::vector<uint8_t> tail(copied * size + kOverread);
  std::copy(codes + (n - copied) * size, codes + n * size, tail.begin());
  std::vector<float> scales(groups * kGroup), biases(groups * kGroup);
  std::copy(scale, scale + queries_, scales.begin());
  std::copy(bias, bias + queries_, biases.begin());
  const auto run = [&](const uint8_t* rows, int64_t count, float* to) {
    const int64_t bytes = count * groups * kGroup * static_cast<int64_t>(sizeof(int32_t));
    char* memory = thread_scratch(bytes + kernels_->trellis_scan(code_, scan_, nullptr, 0, nullptr, nullptr));
    auto* sums = reinterpret_cast<int32_t*>(memory);
    kernels_->trellis_scan(code_, scan_, rows, count, sums, memory + bytes);
    if (queries_ == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(sums[i]) * scale[0] + bias[0];
      return;
    }
    for (int64_t l = 0; l < queries_; l += kGroup) {
      kernels_->scan_finish(sums + l * count, count, std::min(kGroup, queries_ - l), &scales[l], &biases[l], to + l * n,
                            n);
    }
  };
  const int64_t rows = queries_ == 1 ? kRows : kRowsOfMany, chunks = (n - copied + rows - 1) / rows;
  parallel_for(chunks + 1, [&](int64_t c) {
    if (c == chunks) return run(tail.data(), copied, out + n - copied);
    run(codes + c * rows * size, std::min(rows, n - copied - c * rows), out + c * rows);
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
