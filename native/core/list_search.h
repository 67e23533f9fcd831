// Searches of lists: a list's codes are scored once for all queries that look into it, and what is near goes to pools.
//
//   codes of a segment, lists, who looks into which --scorer, terms of the rows--> distances --> pools
//
//   distance = max(((score + before[l]) * factor[i] + term[i]) + after[l], floor), rounded at each step
#pragma once

#include <cstdint>
#include <vector>

#include "core/pools.h"
#include "core/row_scorer.h"

namespace codeword {

// Rows that lie side by side, list after list.
struct SegmentRows {
  const uint8_t* codes;  // (n, code_size)
  int64_t n;
  const uint8_t* side;  // (n, 2), or null
  const bool* out;      // (n), or null: not to be returned
  const int64_t* ids;   // (n), or null: first, first + 1, ...
  int64_t first;
};

// What scores become distances with. The rows' factor and term: by side data `factors` and `terms` (256) of its two
// bytes; or, with squares, 1 and the sum of those scores, or 1 / sqrt of that and 1 with `cosine`; else 1 and 0.
struct Distances {
  const RowScorer* scorer;
  const float *before, *after;  // (queries)
  float floor;
  const float *factors, *terms;           // (256), or null
  std::vector<const RowScorer*> squares;  // of one query each
  bool cosine;
};

// List l is rows bounds[l] to bounds[l + 1]; query i looks into probes[ends[i]] to probes[ends[i + 1]], or all into all
// where probes is null.
struct Looks {
  int64_t lists;
  const int64_t* bounds;  // (lists + 1)
  const int64_t *probes, *ends;
};

void search_lists(const SegmentRows& rows, const Distances& distances, const Looks& looks, NearestPools& pools);

}  // namespace codeword
