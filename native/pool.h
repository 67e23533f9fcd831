// A small thread pool. Work is cut into chunks by the caller, so results cannot depend on the number of threads; the
// pool only decides who runs which chunk. It survives fork: a child starts without threads and makes its own when
// needed.
#pragma once

#include <cstdint>
#include <functional>

namespace codeword {

// Runs fn(0) ... fn(n_chunks - 1), each once, on up to threads() threads, the caller among them, and returns when all
// are done. The first exception stops the handing out of chunks and is rethrown here. A call from inside a chunk, or
// while another thread has the pool, runs serially in its caller.
void parallel_for(int64_t n_chunks, const std::function<void(int64_t)>& fn);

// The same over rows [0, n): fn(begin, end) for consecutive ranges of `rows` rows, the last one shorter.
void parallel_rows(int64_t n, int64_t rows, const std::function<void(int64_t, int64_t)>& fn);

// Number of threads that parallel_for may use; at least 1. The default is CODEWORD_THREADS, or else available_cpus().
int threads();

// Throws std::invalid_argument unless 1 <= n <= 1024.
void set_threads(int n);

// Applies CODEWORD_THREADS. Throws std::runtime_error when it is no number from 1 to 1024.
void choose_threads();

}  // namespace codeword
