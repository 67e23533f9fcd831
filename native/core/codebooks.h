// m codebooks that cover the columns of a row side by side: m = 1 is a vector quantizer, m > 1 a product quantizer.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels.h"

namespace codeword {

// Memory aligned to cache lines.
struct FreeAligned {
  void operator()(char* p) const;
};
using AlignedBytes = std::unique_ptr<char[], FreeAligned>;
AlignedBytes allocate_aligned(int64_t bytes);

class Codebooks {
 public:
  // Copies a codebook (k, d) to the right of those there are. 1 <= k <= 2^31 - 1, 1 <= d.
  void append(const float* codewords, int64_t k, int64_t d);
  // The same of float64, for float64 rows; all codebooks are of one kind. Numbers must be in the range of float32.
  void append(const double* codewords, int64_t k, int64_t d);

  int64_t m() const { return static_cast<int64_t>(books_.size()); }
  int64_t k(int64_t j) const { return books_[j].k; }
  int64_t d() const { return columns_; }  // of a whole row

  // labels (n, m) and, unless null, distances (n, m): see assign_fn. Rows of x are x_stride floats apart; labels and
  // distances are contiguous. Safe to call from several threads; the result does not depend on threads or ISA.
  void assign(const float* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const;
  void assign(const double* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const;
  bool wide() const { return wide_; }  // whether of float64

 private:
  // Codewords of like length; most codebooks are one part.
  struct Part {
    AlignedBytes codewords, wide;  // (k, d) float32, and float64 unless null
    std::vector<int32_t> numbers;  // (k) rising
  };
  struct Book {
    int64_t k, d, column;
    std::vector<Part> parts;
  };
  // The codebooks in the form of one ISA.
  struct Prepared {
    const Kernels* kernels;
    std::vector<std::vector<AssignCodebook>> books;  // by book and part
    std::vector<AlignedBytes> storage;
    int64_t scratch_bytes;
  };
  std::shared_ptr<const Prepared> prepared() const;
  template <class T>
  void append_parts(const T* codewords, const float* narrow, int64_t k, int64_t d);
  template <class T>
  void assign_rows(const T* x, int64_t n, int64_t x_stride, int32_t* labels, double* distances) const;

  std::vector<Book> books_;
  int64_t columns_ = 0;
  bool wide_ = false;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Prepared> prepared_;
};

}  // namespace codeword
