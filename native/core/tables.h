// Scores of packed codes from look-up tables: what a reconstruction that is put together from codebook entries needs.
//
//   queries, codebooks --float64--> values of each symbol --whole bytes, 16 bits--> entries --scan: int32 sums-->
//   float32
//
// A *table* holds an entry for each value of one byte of the code. Where no symbol straddles a byte, a table covers the
// symbols of that byte together; else codes are unpacked to one byte a symbol, or one word where symbols are wider.
// distance = float32(sum of entries) * scale + bias, multiply and add rounded apart, is the same on every ISA.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/codebooks.h"

namespace codeword {

// What a symbol's codeword c contributes for the query piece q: |c|^2 - 2 <q, c>, or -<q, c>, or |c|^2.
enum class TableValues { sqdist, negative_dot, square };

// Codebooks and the layout of a code, prepared once for all batches of queries.
class TableCodebooks {
 public:
  // Codebook j (k, d) of the symbol that takes the next `bits` bits of a code, 1 <= bits <= 30, k <= 2^bits.
  // It covers the columns after those there are, or with `shared` the same as the first one.
  void append(const float* codebook, int64_t k, int64_t d, int bits, bool shared);
  // After the last one.
  void finish();

  int64_t d() const { return d_; }
  int64_t code_size() const { return code_size_; }

 private:
  friend class Tables;
  struct Symbol {
    int64_t k, d, column;         // codebook (k, d), of the columns of a row from `column` on
    int bits, offset;             // where it lies in a code
    int64_t first;                // of its 2^bits values in the values of all symbols
    int64_t step;                 // row length of `columns`
    std::vector<float> columns;   // the codebook transposed, (d, step)
    std::vector<double> squares;  // (k)
  };
  enum class Layout { bytes, narrow, wide };
  struct Scratch {
    std::vector<double> symbols, tables, low;
  };

  int64_t tables() const { return static_cast<int64_t>(table_first_.size()) - 1; }
  int64_t entries() const { return table_first_.back(); }
  void symbol_values(const float* query, TableValues values, Scratch& scratch) const;
  void table_values(Scratch& scratch) const;
  void unpack_narrow(const uint8_t* codes, int64_t n, uint8_t* symbols) const;

  std::vector<Symbol> symbols_;
  std::vector<uint8_t> bits_;
  int64_t d_ = 0, code_size_ = 0, values_ = 0;
  int common_width_ = 0;  // of all symbols, or 0
  int64_t size_ = 0;      // entries of a table, but where symbols are wide: 256, or 2^(widest symbol)
  Layout layout_ = Layout::bytes;
  std::vector<int64_t> table_first_;  // of each table's entries, and of the end
};

// The tables of a batch of queries.
class Tables {
 public:
  // For queries (q, d); distances are multiplied by multiplier[l] and constant[l] is added.
  Tables(std::shared_ptr<const TableCodebooks> books, const float* queries, int64_t q, TableValues values,
         const double* multiplier, const double* constant);

  int64_t queries() const { return q_; }
  int64_t code_size() const { return books_->code_size(); }
  std::vector<float> scale() const { return {scale_.begin(), scale_.begin() + q_}; }

  // out (q, n): distances of codes (n, code_size).
  void scan(const uint8_t* codes, int64_t n, float* out) const;

 private:
  using Layout = TableCodebooks::Layout;

  void build_query(const float* query, int64_t l, TableValues values, double multiplier, double constant,
                   uint16_t* entries);
  void interleave(const uint16_t* from, int64_t group, int64_t first, int64_t last);
  void scan_tile(const uint8_t* codes, int64_t first, int64_t n, int64_t step, int64_t group, float* out) const;
  void scan_group(const uint8_t* bytes, int64_t n, int64_t stride, int64_t step, int64_t group, float* out) const;
  void scan_single(const uint8_t* bytes, int64_t n, int64_t stride, int64_t l, float* out) const;
  void scan_wide(const uint32_t* words, int64_t n, int64_t l, float* out) const;

  std::shared_ptr<const TableCodebooks> books_;
  int64_t q_, grouped_;              // queries; those in groups of 32, the others stand alone
  std::vector<float> scale_, bias_;  // padded to whole groups
  AlignedBytes groups_;              // uint16 entries of the groups, 32 queries side by side
  std::vector<uint16_t> singles_;    // of the queries alone
};

}  // namespace codeword
