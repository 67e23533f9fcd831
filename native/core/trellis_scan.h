// A batch of queries against bitshift trellis codes. Definitions: TrellisScan and trellis_dot_fn in kernels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "core/codebooks.h"
#include "core/row_scorer.h"
#include "core/trellis.h"
#include "dispatch.h"
#include "kernels.h"

namespace codeword {

// Tables and scales of a code, prepared once for all queries and one ISA.
class TrellisTables {
 public:
  // values (tables, 256), periods (2), order and rise (blocks of 64 coordinates) as in TrellisScan; copied. The code
  // must live as long. Throws std::invalid_argument where they do not fit.
  TrellisTables(const Trellis& code, std::vector<uint8_t> values, const std::vector<uint8_t>& periods,
                std::vector<int32_t> order, std::vector<uint8_t> rise);

  TrellisTables(const TrellisTables&) = delete;
  TrellisTables& operator=(const TrellisTables&) = delete;

  int64_t coordinates() const { return code_.coordinates; }

 private:
  friend class TrellisQueries;
  const Kernels* kernels_;
  const TrellisCode& code_;
  std::vector<uint8_t> values_;
  std::vector<int32_t> order_;
  std::vector<uint8_t> rise_;
  TrellisScan scan_;
  AlignedBytes storage_;
};

// int8 weights of a batch of queries: score = sum * scale[l] + bias[l], multiply and add rounded apart.
class TrellisQueries : public RowScorer {
 public:
  // weights (queries, coordinates), scale and bias (queries). The tables must live as long.
  TrellisQueries(const TrellisTables& tables, const int8_t* weights, int64_t queries, std::vector<float> scale,
                 std::vector<float> bias);

  // out (queries, n)
  void scan(const uint8_t* codes, int64_t n, float* out) const;

  int64_t queries() const override { return queries_; }
  int64_t code_size() const override { return code_.code_size; }
  int64_t overread() const override;
  int64_t chosen_bytes(int64_t count) const override;
  void choose(const int32_t* which, int64_t count, void* chosen) const override;
  int64_t scratch_bytes(int64_t count, int64_t n) const override;
  void score(const void* chosen, const int32_t* which, int64_t count, const uint8_t* codes, int64_t n, float* out,
             void* scratch) const override;

 private:
  void score(const void* chosen, const int32_t* which, int64_t count, const uint8_t* codes, int64_t n, float* out,
             int64_t step, void* scratch) const;

  const Kernels* kernels_;
  const TrellisCode& code_;
  const TrellisScan& scan_;
  int64_t queries_;
  std::vector<float> scale_, bias_;
  AlignedBytes weights_;
};

// sums (queries, n): inner products of int16 weights (queries, coordinates) with the values of all codes (n,
// code_size); or, `each`, with those of n codes of its own for each query (queries, n, code_size).
void trellis_products(const Trellis& code, const uint8_t* codes, int64_t n, bool each, const int16_t* weights,
                      int64_t queries, int64_t* sums);

}  // namespace codeword
