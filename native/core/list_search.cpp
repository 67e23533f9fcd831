// See list_search.h.
#include "core/list_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/scratch.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kJobRows = 4096;                 // queries are made ready once for so many rows
constexpr int64_t kTileRows = 192, kAlone = 1024;  // scored at once for many queries, and for one
constexpr int64_t kJobQueries = 1024;

struct Job {
  int64_t begin, end;  // rows
  const int32_t* which;
  int64_t count;
};

// Who looks into which list: the queries of list l are which[starts[l]] to which[starts[l + 1]].
struct Lookers {
  std::vector<int64_t> starts;
  std::vector<int32_t> which;
};

Lookers lookers_of(const Looks& looks, int64_t queries) {
  Lookers found;
  if (!looks.probes) {
    found.which.resize(static_cast<size_t>(queries));
    std::iota(found.which.begin(), found.which.end(), 0);
    return found;
  }
  found.starts.resize(static_cast<size_t>(looks.lists) + 1);
  found.which.resize(static_cast<size_t>(looks.ends[queries]));
  for (int64_t i = 0; i < looks.ends[queries]; ++i) ++found.starts[static_cast<size_t>(looks.probes[i]) + 1];
  std::partial_sum(found.starts.begin(), found.starts.end(), found.starts.begin());
  std::vector<int64_t> at(found.starts.begin(), found.starts.end() - 1);
  for (int64_t l = 0; l < queries; ++l) {
    for (int64_t i = looks.ends[l]; i < looks.ends[l + 1]; ++i) {
      found.which[static_cast<size_t>(at[static_cast<size_t>(looks.probes[i])]++)] = static_cast<int32_t>(l);
    }
  }
  return found;
}

std::vector<Job> jobs_of(const Looks& looks, const Lookers& lookers) {
  std::vector<Job> jobs;
  const auto add = [&](int64_t begin, int64_t end, const int32_t* which, int64_t all) {
    for (int64_t q = 0; q < all; q += kJobQueries) {
      for (int64_t i = begin; i < end; i += kJobRows) {
        jobs.push_back({i, std::min(end, i + kJobRows), which + q, std::min(kJobQueries, all - q)});
      }
    }
  };
  const int32_t* which = lookers.which.data();
  if (!looks.probes) {
    add(looks.bounds[0], looks.bounds[looks.lists], which, static_cast<int64_t>(lookers.which.size()));
    return jobs;
  }
  for (int64_t l = 0; l < looks.lists; ++l) {
    const int64_t first = lookers.starts[static_cast<size_t>(l)], last = lookers.starts[static_cast<size_t>(l) + 1];
    if (last > first) add(looks.bounds[l], looks.bounds[l + 1], which + first, last - first);
  }
  return jobs;
}

class Memory {
 public:
  explicit Memory(char* at) : at_(at) {}
  template <class T>
  T* take(int64_t n) {
    T* taken = reinterpret_cast<T*>(at_);
    at_ += rounded(n * static_cast<int64_t>(sizeof(T)));
    return taken;
  }
  static int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  char* at_;
};

class Search {
 public:
  Search(const SegmentRows& rows, const Distances& distances, NearestPools& pools)
      : rows_(rows), distances_(distances), pools_(pools), size_(distances.scorer->code_size()) {
    overread_ = distances.scorer->overread();
    for (const RowScorer* s : distances.squares) overread_ = std::max(overread_, s->overread());
    // Rows near the end, beyond which a scorer would read, are scored from a copy.
    safe_ = std::max<int64_t>(0, rows.n - (overread_ + size_ - 1) / size_);
    tail_.resize(static_cast<size_t>((rows.n - safe_) * size_ + overread_));
    std::copy(rows.codes + safe_ * size_, rows.codes + rows.n * size_, tail_.begin());
  }

  void run(const Job& job) const {
    const RowScorer& scorer = *distances_.scorer;
    const int64_t tile = job.count == 1 ? kAlone : kTileRows, chosen_bytes = scorer.chosen_bytes(job.count);
    const int64_t squares = static_cast<int64_t>(distances_.squares.size());
    int64_t scratch = scorer.scratch_bytes(job.count, tile), one = 0;
    for (const RowScorer* s : distances_.squares) {
      scratch = std::max(scratch, s->scratch_bytes(1, tile));
      one = std::max(one, Memory::rounded(s->chosen_bytes(1)));
    }
    Memory memory(thread_scratch(Memory::rounded(chosen_bytes) + squares * one + Memory::rounded(scratch) +
                                 Memory::rounded(job.count * tile * 4) + 3 * Memory::rounded(tile * 4)));
    Work work{memory.take<char>(chosen_bytes),
              memory.take<char>(squares * one),
              one,
              memory.take<char>(scratch),
              memory.take<float>(job.count * tile),
              memory.take<float>(tile),
              memory.take<float>(tile),
              memory.take<float>(tile)};
    scorer.choose(job.which, job.count, work.chosen);
    const int32_t zero = 0;
    for (int64_t s = 0; s < squares; ++s) distances_.squares[s]->choose(&zero, 1, work.squares + s * one);
    for (int64_t i = job.begin, end; i < job.end; i = end) {
      end = std::min(job.end, i + tile);
      if (i < safe_) end = std::min(end, safe_);
      const uint8_t* codes = i < safe_ ? rows_.codes + i * size_ : &tail_[static_cast<size_t>((i - safe_) * size_)];
      run_tile(job, work, codes, i, end - i);
    }
  }

 private:
  struct Work {
    char *chosen, *squares;
    int64_t square_bytes;
    char* scratch;
    float *scores, *factor, *term, *square;
  };

  void run_tile(const Job& job, const Work& work, const uint8_t* codes, int64_t first, int64_t n) const {
    const Kernels& table = kernels();
    distances_.scorer->score(work.chosen, job.which, job.count, codes, n, work.scores, work.scratch);
    fill_terms(work, codes, first, n);
    for (int64_t c = 0; c < job.count; ++c) {
      const int32_t l = job.which[c];
      float* row = work.scores + c * n;
      table.rescale(row, n, distances_.before[l], work.factor, work.term, distances_.after[l], distances_.floor);
      pools_.offer(l, row, n, rows_.ids ? rows_.ids + first : nullptr, rows_.first + first);
    }
  }

  void fill_terms(const Work& work, const uint8_t* codes, int64_t first, int64_t n) const {
    float *factor = work.factor, *term = work.term;
    if (distances_.factors) {
      const uint8_t* side = rows_.side + 2 * first;
      for (int64_t i = 0; i < n; ++i) {
        factor[i] = distances_.factors[side[2 * i]];
        term[i] = distances_.terms[side[2 * i + 1]];
      }
    } else {
      std::fill(factor, factor + n, 1.0f);
      std::fill(term, term + n, 0.0f);
      const int32_t zero = 0;
      for (size_t s = 0; s < distances_.squares.size(); ++s) {
        const char* chosen = work.squares + static_cast<int64_t>(s) * work.square_bytes;
        distances_.squares[s]->score(chosen, &zero, 1, codes, n, work.square, work.scratch);
        for (int64_t i = 0; i < n; ++i) term[i] += work.square[i];
      }
      if (distances_.cosine) {
        for (int64_t i = 0; i < n; ++i) {
          const double inverse = term[i] > 0 ? 1 / std::sqrt(static_cast<double>(term[i])) : 0;
          factor[i] = static_cast<float>(inverse);
          term[i] = 1.0f;
        }
      }
    }
    if (!rows_.out) return;
    for (int64_t i = 0; i < n; ++i) {
      if (rows_.out[first + i]) term[i] = std::numeric_limits<float>::infinity();
    }
  }

  const SegmentRows& rows_;
  const Distances& distances_;
  NearestPools& pools_;
  int64_t size_, overread_, safe_;
  std::vector<uint8_t> tail_;
};

}  // namespace

void search_lists(const SegmentRows& rows, const Distances& distances, const Looks& looks, NearestPools& pools) {
  const Lookers lookers = lookers_of(looks, distances.scorer->queries());
  const std::vector<Job> jobs = jobs_of(looks, lookers);
  const Search search(rows, distances, pools);
  parallel_for(static_cast<int64_t>(jobs.size()), [&](int64_t j) { search.run(jobs[static_cast<size_t>(j)]); });
}

}  // namespace codeword
