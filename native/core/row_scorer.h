// RowScorer: what scores packed codes for any of the queries of a batch; what a search over lists asks for.
#pragma once

#include <cstdint>

namespace codeword {

class RowScorer {
 public:
  virtual ~RowScorer() = default;

  virtual int64_t queries() const = 0;
  virtual int64_t code_size() const = 0;
  // Bytes after the last row that `score` reads.
  virtual int64_t overread() const = 0;

  // Makes ready for the queries `which` (count) in `chosen`, of chosen_bytes(count) bytes, 64-byte aligned.
  virtual int64_t chosen_bytes(int64_t count) const = 0;
  virtual void choose(const int32_t* which, int64_t count, void* chosen) const = 0;

  // out (count, n): scores of codes (n, code_size); scratch of scratch_bytes(count, n), 64-byte aligned.
  virtual int64_t scratch_bytes(int64_t count, int64_t n) const = 0;
  virtual void score(const void* chosen, const int32_t* which, int64_t count, const uint8_t* codes, int64_t n,
                     float* out, void* scratch) const = 0;
};

}  // namespace codeword
