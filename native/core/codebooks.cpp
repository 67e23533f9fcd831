// See codebooks.h.
#include "core/codebooks.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/rows.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr std::align_val_t kCacheLine{64};

// Each thread keeps its scratch, at most a few MiB: a chunk of rows may take less time than the page faults of new
// memory.
char* thread_scratch(int64_t bytes) {
  thread_local AlignedBytes memory;
  thread_local int64_t size = 0;
  if (size < bytes) {
    memory.reset();
    size = 0;
    memory = allocate_aligned(bytes);
    size = bytes;
  }
  return memory.get();
}

// Rows of one task: enough for the kernel to block, few enough for every thread to have several tasks, and with several
// codebooks so few that they stay in the L2 cache from one codebook to the next.
int64_t task_rows(int64_t n, int64_t m, int64_t row_bytes) {
  const int64_t most = m == 1 ? 1536 : std::max<int64_t>(96, rows_per_chunk(row_bytes));
  const int64_t share = n / (4 * threads()) + 1;
  return (std::min(most, share) + 47) / 48 * 48;
}

uint64_t hash_floats(const float* x, int64_t d) {
  uint64_t hash = 0;
  for (int64_t i = 0; i < d; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    hash = (hash ^ bits) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

// Numbers of the codewords that no earlier one equals bit for bit. Among many equal codewords no filter can choose, and
// only the first can win.
std::vector<int32_t> distinct_codewords(const float* codewords, int64_t k, int64_t d) {
  int64_t size = 4;
  while (size < 2 * k) size *= 2;
  std::vector<int32_t> table(static_cast<size_t>(size), -1), distinct;
  for (int64_t c = 0; c < k; ++c) {
    const float* codeword = codewords + c * d;
    uint64_t at = hash_floats(codeword, d) & static_cast<uint64_t>(size - 1);
    while (table[at] >= 0 && std::memcmp(codewords + table[at] * d, codeword, 4 * static_cast<size_t>(d))) {
      at = (at + 1) & static_cast<uint64_t>(size - 1);
    }
    if (table[at] >= 0) continue;
    table[at] = static_cast<int32_t>(c);
    distinct.push_back(static_cast<int32_t>(c));
  }
  return distinct;
}

}  // namespace

void FreeAligned::operator()(char* p) const { ::operator delete[](p, kCacheLine); }

AlignedBytes allocate_aligned(int64_t bytes) {
  return AlignedBytes(static_cast<char*>(::operator new[](static_cast<size_t>(bytes), kCacheLine)));
}

void Codebooks::append(const float* codewords, int64_t k, int64_t d) {
  Book book = {k, d, columns_, k, nullptr, distinct_codewords(codewords, k, d)};
  book.n_distinct = static_cast<int64_t>(book.original.size());
  book.codewords = allocate_aligned(book.n_distinct * d * static_cast<int64_t>(sizeof(float)));
  for (int64_t c = 0; c < book.n_distinct; ++c) {
    std::memcpy(book.codewords.get() + 4 * c * d, codewords + book.original[c] * d, 4 * static_cast<size_t>(d));
  }
  if (book.n_distinct == k) book.original.clear();
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
  fresh->books.resize(books_.size());
  fresh->storage.resize(books_.size());
  parallel_for(m(), [&](int64_t j) {
    AssignCodebook& book = fresh->books[j];
    book = {};
    book.k = books_[j].n_distinct;
    book.d = books_[j].d;
    book.codewords = reinterpret_cast<const float*>(books_[j].codewords.get());
    fresh->storage[j] = allocate_aligned(table.assign_prepare(book, nullptr));
    table.assign_prepare(book, fresh->storage[j].get());
  });
  for (const AssignCodebook& book : fresh->books)
    fresh->scratch_bytes = std::max(fresh->scratch_bytes, book.scratch_bytes);
  prepared_ = fresh;
  return fresh;
}

void Codebooks::assign(const float* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const {
  const auto ready = prepared();
  const int64_t m = this->m();
  parallel_rows(n, task_rows(n, m, 4 * columns_), [&](int64_t begin, int64_t end) {
    char* scratch = thread_scratch(ready->scratch_bytes);
    for (int64_t j = 0; j < m; ++j) {
      const AssignRows rows = {x + begin * x_stride + books_[j].column,         x_stride, labels + begin * m + j, m,
                               distances ? distances + begin * m + j : nullptr, m};
      ready->kernels->assign(ready->books[j], rows, end - begin, scratch);
      if (books_[j].original.empty()) continue;
      for (int64_t i = begin; i < end; ++i) labels[i * m + j] = books_[j].original[labels[i * m + j]];
    }
  });
}

}  // namespace codeword
