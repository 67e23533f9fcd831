// One job at a time. Workers park on a condition variable after a short spin (the next job of a loop comes within
// microseconds, and waking a thread costs more than that). A worker joins a job under the mutex, and the caller closes
// the job under the mutex, so nobody touches a job whose caller has returned.
#include "pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "cpus.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace codeword {
namespace {

constexpr auto kSpin = std::chrono::microseconds(20);
constexpr int kMaxThreads = 1024;

thread_local bool inside_job = false;

void pause_cpu() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Polls `ready` for at most kSpin.
template <class Ready>
void spin_until(Ready ready) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  while (!ready()) {
    for (int i = 0; i < 16; ++i) pause_cpu();
    if (std::chrono::steady_clock::now() >= deadline) return;
  }
}

struct Job {
  const std::function<void(int64_t)>& fn;
  int64_t n_chunks;
  int helpers_wanted;
  std::atomic<int64_t> next{0};
  std::exception_ptr error{};
  std::atomic<bool> failed{false};

  void run() noexcept {
    inside_job = true;
    while (true) {
      const int64_t chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= n_chunks) break;
      try {
        fn(chunk);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
        next.store(n_chunks);
      }
    }
    inside_job = false;
  }
};

class Pool {
 public:
  // Runs `job` with up to job.helpers_wanted workers; false when another thread has the pool.
  bool run(Job& job) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    const int helpers = job.helpers_wanted;
    {
      std::lock_guard lock(mutex_);
      grow(helpers);
      job_ = &job;
      generation_.fetch_add(1, std::memory_order_release);
    }
    for (int i = 0; i < helpers; ++i) wake_.notify_one();
    job.run();
    spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
    {
      std::unique_lock lock(mutex_);
      job_ = nullptr;
      idle_.wait(lock, [&] { return running_.load(std::memory_order_acquire) == 0; });
    }
    busy_.store(false, std::memory_order_release);
    return true;
  }

 private:
  void grow(int wanted) {
    try {
      while (n_workers_ < wanted) {
        start_worker();
        ++n_workers_;
      }
    } catch (const std::system_error&) {
      // No more threads to be had: those there are, and the caller, do the work.
    }
  }

  // Workers leave signals to Python's main thread.
  void start_worker() {
#if defined(_WIN32)
    std::thread([this] { work(); }).detach();
#else
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { work(); }).detach();
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  }

  void work() {
    uint64_t seen = 0;
    while (true) {
      spin_until([&] { return generation_.load(std::memory_order_acquire) != seen; });
      Job* job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        seen = generation_.load(std::memory_order_relaxed);
        job = job_;
        if (!job || job->helpers_wanted == 0) continue;
        --job->helpers_wanted;
        running_.fetch_add(1, std::memory_order_relaxed);
      }
      job->run();
      std::lock_guard lock(mutex_);
      if (running_.fetch_sub(1, std::memory_order_release) == 1) idle_.notify_one();
    }
  }

  std::atomic<bool> busy_{false};
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  Job* job_ = nullptr;
  int n_workers_ = 0;
};

std::atomic<Pool*> the_pool{nullptr};
std::atomic<int> n_threads{0};

#if !defined(_WIN32)
// The parent's workers do not exist in the child, and its mutex may be held by one of them: leave the old pool alone.
void forget_pool() {
  the_pool.store(nullptr);
  inside_job = false;
}
#endif

// Never destroyed: its workers are detached and may still be parked when the process ends.
Pool& pool() {
#if !defined(_WIN32)
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  (void)registered;
#endif
  Pool* current = the_pool.load(std::memory_order_acquire);
  if (!current) {
    auto* fresh = new Pool;
    if (the_pool.compare_exchange_strong(current, fresh)) return *fresh;
    delete fresh;
  }
  return *current;
}

}  // namespace

void parallel_for(int64_t n_chunks, const std::function<void(int64_t)>& fn) {
  const int64_t wanted = std::min<int64_t>(n_chunks, threads());
  if (wanted > 1 && !inside_job) {
    Job job{fn, n_chunks, static_cast<int>(wanted - 1)};
    if (pool().run(job)) {
      if (job.error) std::rethrow_exception(job.error);
      return;
    }
  }
  for (int64_t chunk = 0; chunk < n_chunks; ++chunk) fn(chunk);
}

void parallel_rows(int64_t n, int64_t rows, const std::function<void(int64_t, int64_t)>& fn) {
  parallel_for((n + rows - 1) / rows, [&](int64_t chunk) { fn(chunk * rows, std::min(n, (chunk + 1) * rows)); });
}

int threads() {
  if (const int n = n_threads.load(std::memory_order_relaxed)) return n;
  const int n = std::min(available_cpus(), kMaxThreads);
  n_threads.store(n, std::memory_order_relaxed);
  return n;
}

void set_threads(int n) {
  if (n < 1 || n > kMaxThreads) {
    throw std::invalid_argument("threads must be from 1 to 1024, got " + std::to_string(n));
  }
  n_threads.store(n, std::memory_order_relaxed);
}

void choose_threads() {
  const char* text = std::getenv("CODEWORD_THREADS");
  if (!text || !*text) return;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  if (*end || n < 1 || n > kMaxThreads) {
    throw std::runtime_error("CODEWORD_THREADS must be a number from 1 to 1024, got '" + std::string(text) + "'");
  }
  set_threads(static_cast<int>(n));
}

}  // namespace codeword
