// See codebooks.h.
#include "core/codebooks.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/parts.h"
#include "core/rows.h"
#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr std::align_val_t kCacheLine{64};
constexpr int64_t kMostTaskRows = 1536;

// Rows of one task: enough for the kernel to block, few enough for every thread to have several tasks, and `in_pieces`
// so few that they stay in the L2 cache from one reading to the next.
int64_t task_rows(int64_t n, bool in_pieces, int64_t row_bytes) {
  const int64_t most = in_pieces ? std::clamp<int64_t>(rows_per_chunk(row_bytes), 96, kMostTaskRows) : kMostTaskRows;
  const int64_t share = n / (4 * threads()) + 1;
  return (std::min(most, share) + 47) / 48 * 48;
}

// The numbered rows of x (., d), one after another.
template <class T>
AlignedBytes copy_rows(const T* x, int64_t d, const std::vector<int32_t>& numbers) {
  const int64_t bytes = d * static_cast<int64_t>(sizeof(T));
  AlignedBytes copy = allocate_aligned(static_cast<int64_t>(numbers.size()) * bytes);
  for (size_t c = 0; c < numbers.size(); ++c) {
    std::memcpy(copy.get() + static_cast<int64_t>(c) * bytes, x + numbers[c] * d, static_cast<size_t>(bytes));
  }
  return copy;
}

// Float32 rows are taken where they are.
const float* float_rows(const float* x, int64_t x_stride, int64_t, int64_t, float*, AssignRows& rows) {
  rows.x_stride = x_stride;
  return x;
}

// Float64 rows (n, columns) go to `room`, rounded, and stay what decides.
const float* float_rows(const double* x, int64_t x_stride, int64_t n, int64_t columns, float* room, AssignRows& rows) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < columns; ++j) room[i * columns + j] = static_cast<float>(x[i * x_stride + j]);
  }
  rows.wide = x;
  rows.wide_stride = x_stride;
  rows.x_stride = columns;
  return room;
}

}  // namespace

void FreeAligned::operator()(char* p) const { ::operator delete[](p, kCacheLine); }

AlignedBytes allocate_aligned(int64_t bytes) {
  return AlignedBytes(static_cast<char*>(::operator new[](static_cast<size_t>(bytes), kCacheLine)));
}

template <class T>
void Codebooks::append_parts(const T* codewords, const float* narrow, int64_t k, int64_t d) {
  Book book = {k, d, columns_, {}};
  for (auto& numbers : parts_of_like_norm(narrow, d, distinct_codewords(codewords, k, d))) {
    AlignedBytes copy = copy_rows(narrow, d, numbers), wide;
    if constexpr (sizeof(T) == sizeof(double)) wide = copy_rows(codewords, d, numbers);
    book.parts.push_back({std::move(copy), std::move(wide), std::move(numbers)});
  }
  books_.push_back(std::move(book));
  columns_ += d;
}

void Codebooks::append(const float* codewords, int64_t k, int64_t d) { append_parts(codewords, codewords, k, d); }

void Codebooks::append(const double* codewords, int64_t k, int64_t d) {
  const std::vector<float> narrow(codewords, codewords + k * d);
  append_parts(codewords, narrow.data(), k, d);
  wide_ = true;
}

std::shared_ptr<const Codebooks::Prepared> Codebooks::prepared() const {
  const Kernels& table = kernels();
  std::lock_guard lock(mutex_);
  if (prepared_ && prepared_->kernels == &table) return prepared_;
  auto fresh = std::make_shared<Prepared>();
  fresh->kernels = &table;
  fresh->scratch_bytes = 0;
  std::vector<AssignCodebook*> all;
  fresh->books.resize(books_.size());
  for (size_t j = 0; j < books_.size(); ++j) {
    fresh->books[j].resize(books_[j].parts.size());
    for (size_t p = 0; p < books_[j].parts.size(); ++p) {
      const Part& part = books_[j].parts[p];
      const auto k = static_cast<int64_t>(part.numbers.size());
      AssignCodebook& book = fresh->books[j][p];
      book = {};
      book.k = k;
      book.d = books_[j].d;
      book.codewords = reinterpret_cast<const float*>(part.codewords.get());
      book.wide = reinterpret_cast<const double*>(part.wide.get());
      book.numbers = k == books_[j].k ? nullptr : part.numbers.data();
      all.push_back(&book);
    }
  }
  fresh->storage.resize(all.size());
  parallel_for(static_cast<int64_t>(all.size()), [&](int64_t i) {
    fresh->storage[i] = allocate_aligned(table.assign_prepare(*all[i], nullptr));
    table.assign_prepare(*all[i], fresh->storage[i].get());
  });
  for (const AssignCodebook* book : all) fresh->scratch_bytes = std::max(fresh->scratch_bytes, book->scratch_bytes);
  prepared_ = fresh;
  return fresh;
}

template <class T>
void Codebooks::assign_rows(const T* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const {
  const auto ready = prepared();
  const bool in_pieces = this->m() > 1 || wide_;  // a task's rows are read several times
  const int64_t m = this->m(), step = task_rows(n, in_pieces, static_cast<int64_t>(sizeof(T)) * columns_);
  const int64_t scores_bytes = kMostTaskRows * static_cast<int64_t>(sizeof(double));
  const int64_t rows_bytes = wide_ ? (step * columns_ * static_cast<int64_t>(sizeof(float)) + 63) / 64 * 64 : 0;
  parallel_rows(n, step, [&](int64_t begin, int64_t end) {
    char* scratch = thread_scratch(scores_bytes + rows_bytes + ready->scratch_bytes);
    AssignRows all = {};
    const float* narrow = float_rows(x + begin * x_stride, x_stride, end - begin, columns_,
                                     reinterpret_cast<float*>(scratch + scores_bytes), all);
    for (int64_t j = 0; j < m; ++j) {
      AssignRows rows = all;
      rows.x = narrow + books_[j].column;
      if (rows.wide) rows.wide += books_[j].column;
      rows.labels = labels + begin * m + j;
      rows.distances = distances ? distances + begin * m + j : nullptr;
      rows.labels_stride = rows.distances_stride = m;
      rows.scores = ready->books[j].size() > 1 ? reinterpret_cast<double*>(scratch) : nullptr;
      for (const AssignCodebook& part : ready->books[j]) {
        ready->kernels->assign(part, rows, end - begin, scratch + scores_bytes + rows_bytes);
        rows.merge = true;
      }
    }
  });
}

void Codebooks::assign(const float* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const {
  assign_rows(x, n, x_stride, labels, distances);
}

void Codebooks::assign(const double* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const {
  assign_rows(x, n, x_stride, labels, distances);
}

}  // namespace codeword
