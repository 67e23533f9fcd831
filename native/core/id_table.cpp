// See id_table.h.
#include "core/id_table.h"

#include <utility>

namespace codeword {

// SplitMix64's finaliser: ids that run on, or differ in high bits only, spread over the table.
uint64_t IdTable::hash(int64_t id) {
  auto z = static_cast<uint64_t>(id) + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The slot that holds a row of the table.
std::size_t IdTable::slot_of(const int64_t* ids, int64_t row) const {
  uint64_t slot = hash(ids[row]) & mask_;
  while (slots_[slot] != static_cast<uint32_t>(row + 1)) slot = (slot + 1) & mask_;
  return slot;
}

void IdTable::insert(const int64_t* ids, int64_t row) {
  uint64_t slot = hash(ids[row]) & mask_;
  while (slots_[slot]) slot = (slot + 1) & mask_;
  slots_[slot] = static_cast<uint32_t>(row + 1);
}

// At most two thirds full.
void IdTable::grow(const int64_t* ids, int64_t size) {
  std::size_t capacity = slots_.empty() ? 16 : slots_.size();
  while (capacity * 2 < static_cast<std::size_t>(size) * 3) capacity *= 2;
  if (capacity == slots_.size()) return;
  std::vector<uint32_t> old = std::exchange(slots_, std::vector<uint32_t>(capacity, 0));
  mask_ = capacity - 1;
  for (const uint32_t held : old) {
    if (held) insert(ids, static_cast<int64_t>(held) - 1);
  }
}

void IdTable::add(const int64_t* ids, int64_t begin, int64_t end) {
  grow(ids, size_ + end - begin);
  for (int64_t row = begin; row < end; ++row) insert(ids, row);
  size_ += end - begin;
}

void IdTable::find(const int64_t* ids, const int64_t* wanted, int64_t n, int64_t* rows) const {
  for (int64_t i = 0; i < n; ++i) {
    rows[i] = -1;
    if (slots_.empty()) continue;
    for (uint64_t slot = hash(wanted[i]) & mask_; slots_[slot]; slot = (slot + 1) & mask_) {
      const int64_t row = static_cast<int64_t>(slots_[slot]) - 1;
      if (ids[row] == wanted[i]) {
        rows[i] = row;
        break;
      }
    }
  }
}

// The rows after the hole move back where their own first slot does not lie between the hole and them.
void IdTable::erase(const int64_t* ids, const int64_t* rows, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint64_t hole = slot_of(ids, rows[i]);
    for (uint64_t slot = (hole + 1) & mask_; slots_[slot]; slot = (slot + 1) & mask_) {
      const uint64_t home = hash(ids[slots_[slot] - 1]) & mask_;
      if (((slot - home) & mask_) < ((slot - hole) & mask_)) continue;
      slots_[hole] = slots_[slot];
      hole = slot;
    }
    slots_[hole] = 0;
  }
  size_ -= n;
}

void IdTable::move(const int64_t* ids, const int64_t* from, const int64_t* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) slots_[slot_of(ids, from[i])] = static_cast<uint32_t>(to[i] + 1);
}

}  // namespace codeword
