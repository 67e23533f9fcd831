// Lists of the k nearest rows of each query, filled block by block; equal distances go to the lower id, so the lists
// depend on nothing but what was offered.
#pragma once

#include <cstdint>

namespace codeword {

// A row near a query; the order is total.
struct Neighbour {
  float distance;
  int64_t id;
  bool operator<(const Neighbour& other) const {
    return distance < other.distance || (distance == other.distance && id < other.id);
  }
};

// One list a query: k distances and ids as a heap with the farthest on top; places not taken yet are (infinity, 2^63 -
// 1).
struct NearestLists {
  int64_t q, k;
  float* distances;  // (q, k)
  int64_t* ids;      // (q, k)
};

// Offers `distances` (q, n) of the rows with `ids` (n), or first, first + 1, ... where ids is null.
void offer(const NearestLists& lists, const float* distances, int64_t n, const int64_t* ids, int64_t first);

// Sorts each list, nearest first. Nothing may be offered after that.
void sort_lists(const NearestLists& lists);

// distances (q, n) = max(((distances + before[l]) * factor[i] + term[i]) + after[l], floor), rounded at each step.
void rescale(float* distances, int64_t q, int64_t n, const float* before, const float* factor, const float* term,
             const float* after, float floor);

}  // namespace codeword
