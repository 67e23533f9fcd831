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
constexpr int64_t kRows = 1024;      // a chunk
constexpr int64_t kExactRows = 256;  // a chunk of exact products

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

TrellisQueries::TrellisQueries(const Trellis& code, std::vector<uint8_t> values, std::vector<int8_t> weights,
                               int64_t queries, std::vector<int32_t> order, std::vector<uint8_t> rise)
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
  for (int64_t l = 0; l < queries; l += kGroup) {
    TrellisScan& scan = groups_.emplace_back();
    scan = {.queries = std::min(kGroup, queries - l),
            .values = values_.data(),
            .weights = weights_.data() + l * coordinates,
            .order = order_.data(),
            .rise = rise_.data(),
            .prepared = nullptr};
    storage_.push_back(allocate_aligned(kernels_->trellis_scan_prepare(code_, scan, nullptr)));
    kernels_->trellis_scan_prepare(code_, scan, storage_.back().get());
  }
}

void TrellisQueries::scan(const uint8_t* codes, int64_t n, const float* scale, const float* bias, float* out) const {
  const int64_t size = code_.code_size, groups = static_cast<int64_t>(groups_.size());
  const int64_t copied = std::min(n, kOverread / size + 1);  // rows at the end, which the kernel would read beyond
  std::vector<uint8_t> tail(copied * size + kOverread);
  std::copy(codes + (n - copied) * size, codes + n * size, tail.begin());
  std::vector<float> scales(groups * kGroup), biases(groups * kGroup);
  std::copy(scale, scale + queries_, scales.begin());
  std::copy(bias, bias + queries_, biases.begin());
  const int64_t chunks = (n - copied + kRows - 1) / kRows + 1;
  parallel_for(chunks * groups, [&](int64_t chunk) {
    const int64_t g = chunk / chunks, c = chunk % chunks;
    const bool last = c == chunks - 1;
    const int64_t begin = last ? n - copied : c * kRows, end = last ? n : std::min(begin + kRows, n - copied);
    const uint8_t* rows = last ? tail.data() : codes + begin * size;
    const TrellisScan& scan = groups_[g];
    char* memory =
        thread_scratch(kRows * kGroup * 4 + kernels_->trellis_scan(code_, scan, nullptr, 0, nullptr, nullptr));
    auto* sums = reinterpret_cast<int32_t*>(memory);
    kernels_->trellis_scan(code_, scan, rows, end - begin, sums, memory + kRows * kGroup * 4);
    float* to = out + g * kGroup * n + begin;
    if (scan.queries > 1) {
      kernels_->scan_finish(sums, end - begin, scan.queries, &scales[g * kGroup], &biases[g * kGroup], to, n);
      return;
    }
    const float factor = scales[g * kGroup], term = biases[g * kGroup];
    for (int64_t i = 0; i < end - begin; ++i) to[i] = static_cast<float>(sums[i]) * factor + term;
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
