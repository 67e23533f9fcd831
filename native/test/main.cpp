// Runs every registered test, those of kernels on every ISA of this machine, and says what it checked. Exit status 1 on
// a failed check or a kernel without a test.
#include <algorithm>
#include <cstdio>

#include "check.h"
#include "dispatch.h"
#include "pool.h"

namespace codeword::test {
namespace {

int64_t checked = 0, failed = 0;

void run(const Test& test, const char* isa) {
  const int64_t checked_before = checked, failed_before = failed;
  test.run();
  std::printf("%-10s  %-20s  %7lld checks  %s\n", isa, test.name.c_str(),
              static_cast<long long>(checked - checked_before), failed == failed_before ? "ok" : "FAILED");
}

bool has_test(const std::string& name) {
  return std::any_of(tests().begin(), tests().end(), [&](const Test& test) { return test.name == name; });
}

}  // namespace

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

void check(bool holds, const char* what, const char* file, int line) {
  ++checked;
  if (holds) return;
  if (++failed <= 20) std::printf("%s:%d: failed: %s\n", file, line, what);
}

int run_all() {
  choose_isa();
  choose_threads();
  const std::vector<std::string> kernels = kernel_names();
  for (const Test& test : tests()) {
    if (std::find(kernels.begin(), kernels.end(), test.name) == kernels.end()) run(test, "-");
  }
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    for (const std::string& kernel : kernels) {
      for (const Test& test : tests()) {
        if (test.name == kernel) run(test, isa.c_str());
      }
    }
  }
  for (const std::string& kernel : kernels) {
    if (has_test(kernel)) continue;
    std::printf("kernel %s has no test in native/test\n", kernel.c_str());
    ++failed;
  }
  std::printf("%lld checks, %lld failed\n", static_cast<long long>(checked), static_cast<long long>(failed));
  return failed != 0;
}

}  // namespace codeword::test

int main() { return codeword::test::run_all(); }
