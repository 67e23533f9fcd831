// The thread pool: every chunk once, nested calls, exceptions, callers at the same time.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "pool.h"

namespace codeword::test {

TEST(pool_runs_every_chunk_once) {
  for (int n_threads : {1, 2, 4, 9}) {
    set_threads(n_threads);
    for (int64_t n : {0, 1, 2, 3, 100, 1000}) {
      std::vector<std::atomic<int>> runs(n);
      parallel_for(n, [&](int64_t chunk) { ++runs[chunk]; });
      for (const std::atomic<int>& count : runs) CHECK(count == 1);
    }
  }
}

TEST(pool_cuts_rows_into_the_same_ranges) {
  set_threads(3);
  std::vector<std::atomic<int64_t>> ends(4);
  parallel_rows(31, 10, [&](int64_t begin, int64_t end) { ends[begin / 10] = end; });
  CHECK(ends[0] == 10 && ends[1] == 20 && ends[2] == 30 && ends[3] == 31);
}

TEST(pool_nested_calls_run_in_their_caller) {
  set_threads(4);
  std::atomic<int> count{0};
  parallel_for(10, [&](int64_t) {
    const std::thread::id caller = std::this_thread::get_id();
    parallel_for(10, [&](int64_t) { count += std::this_thread::get_id() == caller; });
  });
  CHECK(count == 100);
}

TEST(pool_rethrows_the_exception_of_a_chunk) {
  for (int n_threads : {1, 4}) {
    set_threads(n_threads);
    for (int64_t bad : {0, 7, 99}) {
      bool caught = false;
      try {
        parallel_for(100, [&](int64_t chunk) {
          if (chunk == bad) throw std::out_of_range("chunk");
        });
      } catch (const std::out_of_range&) {
        caught = true;
      }
      CHECK(caught);
    }
    std::atomic<int> count{0};
    parallel_for(100, [&](int64_t) { ++count; });
    CHECK(count == 100);
  }
}

TEST(pool_serves_callers_at_the_same_time) {
  set_threads(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) parallel_for(8, [&](int64_t chunk) { sum += chunk; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 4 * 500 * 28);
}

}  // namespace codeword::test
