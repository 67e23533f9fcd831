// Containers limit CPUs by quota more often than by mask, so on Linux both are read: cgroup v2 `cpu.max` holds
// "<quota|max> <period>", v1 keeps the two numbers in files of their own (quota -1: none).
#include "cpus.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace codeword {
namespace {

int mask_cpus() {
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

#if defined(__linux__)

double quotient(double quota, double period) { return quota > 0 && period > 0 ? quota / period : 0; }

// Quota of one cgroup v2 directory in CPUs; 0: none.
double quota_v2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period ? quotient(quota, period) : 0;
}

double quota_v1() {
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period ? quotient(quota, period) : 0;
}

// The tightest quota of this process's control group and of those above it.
double quota_cpus() {
  const std::string root = "/sys/fs/cgroup";
  double tightest = quota_v1();
  std::ifstream groups("/proc/self/cgroup");
  std::string path = "/";
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) == 0) path = line.substr(3);
  }
  while (true) {
    const double quota = quota_v2(root + path);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
    if (path.size() <= 1) return tightest;
    path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

#else

double quota_cpus() { return 0; }

#endif

}  // namespace

int available_cpus() {
  int cpus = mask_cpus();
  if (const double quota = quota_cpus(); quota > 0) cpus = std::min(cpus, static_cast<int>(std::ceil(quota)));
  return std::max(cpus, 1);
}

}  // namespace codeword
