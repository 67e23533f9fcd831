// See packed_matrix.h.
#include "core/packed_matrix.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/rows.h"
#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kBefore = 2, kAfter = 64;         // bytes that a kernel reads beyond the codes
constexpr int64_t kMostColumns = int64_t(1) << 17;  // 2^17 * 128 * 127 < 2^31

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

// Rows as bytes, with room for the whole tiles that a kernel reads.
struct PackedMatrix::Rounded {
  int64_t stride;
  std::vector<int8_t> bytes;
  std::vector<float> scales;
  std::vector<int32_t> sums;

  Rounded(int64_t n, int64_t a_stride)
      : stride(a_stride), bytes((n + 31) / 32 * 32 * a_stride + 64), scales(n), sums(n) {}
};

PackedMatrix::PackedMatrix(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods,
                           int64_t rows, int64_t columns)
    : kernels_(&kernels()), code_(code.code()), values_(std::move(values)), rows_(rows), columns_(columns) {
  require(static_cast<int64_t>(values_.size()) == code.tables() * 256,
          "values must have 256 for each table of the code");
  require(periods.size() == 2 && (periods[1] == 0 || (periods[0] != 0 && periods[0] != periods[1])),
          "periods must be two different ones, one and 0, or 0 and 0");
  require(code_.coordinates % 4 == 0 && code_.coordinates <= 4 * kMatrixHeight && code_.coordinates > 0,
          "the code must have 4 to 512 coordinates, a multiple of 4");
  require(rows >= 1 && columns >= 1 && columns <= kMostColumns, "columns must be from 1 to 131072");
  height_ = code_.coordinates / 4;
  bands_ = (rows + height_ - 1) / height_;
  blocks_ = (columns + 3) / 4;
  stride_ = (4 * blocks_ + 63) / 64 * 64;
  matrix_ = {.values = values_.data(), .periods = {periods[0], periods[1]}, .prepared = nullptr};
  storage_ = allocate_aligned(kernels_->trellis_multiply_prepare(code_, matrix_, nullptr));
  kernels_->trellis_multiply_prepare(code_, matrix_, storage_.get());
}

// Adds the products of up to kMatrixQueries rows with one band. Codes at the ends of the array are copied to where
// there is something before and after them.
void PackedMatrix::band(const uint8_t* codes, int64_t band, const int8_t* x, int64_t n, int32_t* to,
                        int64_t step) const {
  const int64_t size = code_.code_size;
  void* scratch = thread_scratch(kernels_->trellis_multiply(code_, matrix_, {}, nullptr));
  const auto run = [&](const uint8_t* from, int64_t first, int64_t count) {
    if (!count) return;
    const MatrixTask task = {from, count, n, x + 4 * first, stride_, to, step};
    kernels_->trellis_multiply(code_, matrix_, task, scratch);
  };
  const auto run_copied = [&](const uint8_t* from, int64_t first, int64_t count) {
    std::vector<uint8_t> copy(kBefore + count * size + kAfter);
    std::copy(from, from + count * size, copy.begin() + kBefore);
    run(copy.data() + kBefore, first, count);
  };
  const uint8_t* own = codes + band * blocks_ * size;
  const int64_t head = band == 0, tail = band == bands_ - 1 ? std::min(blocks_ - head, kAfter / size + 1) : 0;
  if (head) run_copied(own, 0, head);
  run(own + head * size, head, blocks_ - head - tail);
  if (tail) run_copied(own + (blocks_ - tail) * size, blocks_ - tail, tail);
}

void PackedMatrix::products(const uint8_t* codes, const Rounded& x, int64_t n, int32_t* to, int64_t step) const {
  const int64_t chunks = (n + kMatrixQueries - 1) / kMatrixQueries;
  parallel_for(chunks * bands_, [&](int64_t task) {
    const int64_t first = task / bands_ * kMatrixQueries, band = task % bands_;
    const int64_t count = std::min(kMatrixQueries, n - first);
    int32_t* sums = to + first * step + band * height_;
    for (int64_t l = 0; l < count; ++l) {
      std::fill_n(sums + l * step, height_, static_cast<int32_t>(0u - 128u * static_cast<uint32_t>(x.sums[first + l])));
    }
    this->band(codes, band, x.bytes.data() + first * stride_, count, sums, step);
  });
}

void PackedMatrix::sums(const uint8_t* codes, const int8_t* x, int64_t n, int32_t* sums) const {
  Rounded rounded(n, stride_);
  for (int64_t l = 0; l < n; ++l) {
    std::copy(x + l * columns_, x + (l + 1) * columns_, &rounded.bytes[l * stride_]);
    for (int64_t j = 0; j < columns_; ++j) rounded.sums[l] += x[l * columns_ + j];
  }
  std::vector<int32_t> wide(n * bands_ * height_);
  products(codes, rounded, n, wide.data(), bands_ * height_);
  for (int64_t l = 0; l < n; ++l) std::copy_n(&wide[l * bands_ * height_], rows_, sums + l * rows_);
}

void PackedMatrix::multiply(const uint8_t* codes, const float* x, int64_t n, const Around& around, float* y) const {
  const int64_t in_chunk = rows_per_chunk(4 * columns_), out_chunk = rows_per_chunk(4 * rows_);
  Rounded rounded(n, stride_);
  parallel_rows(n, in_chunk, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    std::vector<float> turned(x + begin * columns_, x + end * columns_);
    if (around.input) around.input->rotate(turned.data(), count, false);
    kernels_->round_rows(turned.data(), count, columns_, &rounded.bytes[begin * stride_], stride_,
                         &rounded.scales[begin], &rounded.sums[begin]);
  });
  const int64_t step = bands_ * height_;
  std::vector<int32_t> sums(n * step);
  products(codes, rounded, n, sums.data(), step);
  parallel_rows(n, out_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t l = begin; l < end; ++l) {
      const float scale = rounded.scales[l] * around.unit;
      for (int64_t r = 0; r < rows_; ++r) y[l * rows_ + r] = static_cast<float>(sums[l * step + r]) * scale;
    }
    if (around.output) around.output->rotate(y + begin * rows_, end - begin, true);
    for (int64_t l = begin; around.factors && l < end; ++l) {
      for (int64_t r = 0; r < rows_; ++r) y[l * rows_ + r] *= around.factors[r];
    }
  });
}

}  // namespace codeword
