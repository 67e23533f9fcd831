// See accumulate.h. Threads share the columns; where those are few, they share the rows and add up private sums, which
// is exact too.
#include "core/accumulate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.h"
#include "pool.h"

namespace codeword {
namespace {

constexpr int64_t kSumsCacheBytes = 1 << 20;  // sums of a stripe of columns: half an L2
constexpr int64_t kLeastStripe = 16;          // columns: a cache line of x

void run(const Kernels& table, const AccumulateRows<float>& rows, int64_t n) { table.accumulate(rows, n); }
void run(const Kernels& table, const AccumulateRows<double>& rows, int64_t n) { table.accumulate_wide(rows, n); }

template <class T>
void add_counts(const Accumulate<T>& job) {
  for (int64_t i = 0; i < job.n; ++i) {
    if (job.old_labels && job.old_labels[i] == job.labels[i]) continue;
    const int64_t weight = job.weights ? std::llrint(std::ldexp(double(job.weights[i]), job.weight_exponent)) : 1;
    job.counts[job.labels[i]] += weight;
    if (job.old_labels) job.counts[job.old_labels[i]] -= weight;
  }
}

template <class T>
int64_t stripe_columns(const Accumulate<T>& job) {
  const int64_t in_cache = kSumsCacheBytes / (8 * job.k);
  const int64_t share = (job.d + threads() - 1) / threads();
  const int64_t columns = std::clamp(std::min(in_cache, share), kLeastStripe, std::max(job.d, kLeastStripe));
  return (columns + kLeastStripe - 1) / kLeastStripe * kLeastStripe;
}

template <class T>
void by_columns(const Accumulate<T>& job, const AccumulateRows<T>& rows, int64_t columns) {
  const Kernels& table = kernels();
  parallel_rows(job.d, columns, [&](int64_t begin, int64_t end) {
    AccumulateRows<T> stripe = rows;
    stripe.x += begin;
    stripe.scales += begin;
    stripe.sums += begin;
    stripe.d = end - begin;
    run(table, stripe, job.n);
  });
}

template <class T>
void by_rows(const Accumulate<T>& job, const AccumulateRows<T>& rows, int64_t parts) {
  const Kernels& table = kernels();
  const int64_t size = job.k * job.d, step = (job.n + parts - 1) / parts;
  std::vector<int64_t> sums(static_cast<size_t>(parts * size));
  parallel_for(parts, [&](int64_t part) {
    const int64_t begin = std::min(job.n, part * step), end = std::min(job.n, begin + step);
    AccumulateRows<T> mine = rows;
    mine.x += begin * rows.x_stride;
    mine.labels += begin;
    if (mine.old_labels) mine.old_labels += begin;
    if (mine.weights) mine.weights += begin;
    mine.sums = &sums[part * size];
    run(table, mine, end - begin);
  });
  for (int64_t i = 0; i < parts * size; ++i) job.sums[i % size] += sums[i];
}

template <class T>
void accumulate_all(const Accumulate<T>& job) {
  std::vector<double> scales(static_cast<size_t>(job.d));
  for (int64_t j = 0; j < job.d; ++j) scales[j] = std::ldexp(1.0, job.exponents[j]);
  const AccumulateRows<T> rows = {job.x,      job.x_stride,   job.d,    job.weights, scales.data(),
                                  job.labels, job.old_labels, job.sums, job.d};
  const int64_t columns = stripe_columns(job), parts = threads();
  if (columns >= job.d && parts > 1 && job.k * job.d * parts < job.n * job.d) {
    by_rows(job, rows, parts);
  } else {
    by_columns(job, rows, columns);
  }
  add_counts(job);
}

}  // namespace

void accumulate(const Accumulate<float>& job) { accumulate_all(job); }
void accumulate(const Accumulate<double>& job) { accumulate_all(job); }

void keep_farthest(const int32_t* labels, const double* losses, int64_t n, int64_t first, double* largest,
                   int64_t* farthest) {
  for (int64_t i = 0; i < n; ++i) {
    if (losses[i] > largest[labels[i]]) {
      largest[labels[i]] = losses[i];
      farthest[labels[i]] = first + i;
    }
  }
}

}  // namespace codeword
