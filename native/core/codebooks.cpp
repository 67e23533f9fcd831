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

// Rows of one task: enough for the kernel to block, few enough for every thread to have several tasks, and with several
// codebooks so few that they stay in the L2 cache from one codebook to the next.
int64_t task_rows(int64_t n, int64_t m, int64_t row_bytes) {
  const int64_t most = m == 1 ? kMostTaskRows : std::clamp<int64_t>(rows_per_chunk(row_bytes), 96, kMostTaskRows);
  const int64_t share = n / (4 * threads()) + 1;
  return (std::min(most, share) + 47) / 48 * 48;
}

}  // namespace

void FreeAligned::operator()(char* p) const { ::operator delete[](p, kCacheLine); }

AlignedBytes allocate_aligned(int64_t bytes) {
  return AlignedBytes(static_cast<char*>(::operator new[](static_cast<size_t>(bytes), kCacheLine)));
}

void Codebooks::append(const float* codewords, int64_t k, int64_t d) {
  Book book = {k, d, columns_, {}};
  const int64_t bytes = d * static_cast<int64_t>(sizeof(float));
  for (auto& numbers : parts_of_like_norm(codewords, d, distinct_codewords(codewords, k, d))) {
    AlignedBytes copy = allocate_aligned(static_cast<int64_t>(numbers.size()) * bytes);
    for (size_t c = 0; c < numbers.size(); ++c) {
      std::memcpy(copy.get() + static_cast<int64_t>(c) * bytes, codewords + numbers[c] * d, static_cast<size_t>(bytes));
    }
    book.parts.push_back({std::move(copy), std::move(numbers)});
  }
  books_.push_back(std::move(book));
  columns_ += d;
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

void Codebooks::assign(const float* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const {
  const auto ready = prepared();
  const int64_t m = this->m(), scores_bytes = kMostTaskRows * static_cast<int64_t>(sizeof(double));
  parallel_rows(n, task_rows(n, m, 4 * columns_), [&](int64_t begin, int64_t end) {
    char* scratch = thread_scratch(scores_bytes + ready->scratch_bytes);
    for (int64_t j = 0; j < m; ++j) {
      AssignRows rows = {};
      rows.x = x + begin * x_stride + books_[j].column;
      rows.x_stride = x_stride;
      rows.labels = labels + begin * m + j;
      rows.distances = distances ? distances + begin * m + j : nullptr;
      rows.labels_stride = rows.distances_stride = m;
      rows.scores = ready->books[j].size() > 1 ? reinterpret_cast<double*>(scratch) : nullptr;
      for (const AssignCodebook& part : ready->books[j]) {
        ready->kernels->assign(part, rows, end - begin, scratch + scores_bytes);
        rows.merge = true;
      }
    }
  });
}

}  // namespace codeword
