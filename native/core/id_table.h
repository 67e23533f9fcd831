// Where the row with an id is: a hash table of row numbers, 6 to 12 bytes a row; the ids themselves stay in the
// caller's array. Open addressing with linear probing (Knuth 6.4, algorithm R for removal).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace codeword {

class IdTable {
 public:
  // Most rows: 32 bits a slot.
  static constexpr int64_t kMostRows = (int64_t(1) << 32) - 2;

  // Adds rows [begin, end), whose ids are ids[row] and not in the table yet.
  void add(const int64_t* ids, int64_t begin, int64_t end);

  // rows[i] = the row of wanted[i], or -1.
  void find(const int64_t* ids, const int64_t* wanted, int64_t n, int64_t* rows) const;

  // Forgets rows; ids[row] must still be their ids.
  void erase(const int64_t* ids, const int64_t* rows, int64_t n);

  // Row from[i] becomes row to[i], which the table does not hold; ids[from[i]] must still be its id.
  void move(const int64_t* ids, const int64_t* from, const int64_t* to, int64_t n);

  int64_t size() const { return size_; }
  int64_t bytes() const { return static_cast<int64_t>(slots_.size() * sizeof(uint32_t)); }

 private:
  static uint64_t hash(int64_t id);
  std::size_t slot_of(const int64_t* ids, int64_t row) const;
  void insert(const int64_t* ids, int64_t row);
  void grow(const int64_t* ids, int64_t size);

  std::vector<uint32_t> slots_;  // row + 1, or 0
  uint64_t mask_ = 0;
  int64_t size_ = 0;
};

}  // namespace codeword
