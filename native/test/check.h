// The smallest test frame that does: CHECK counts and reports, TEST(name) registers a function. A test named after a
// kernel runs once per ISA; the driver insists that every kernel has one.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace codeword::test {

struct Test {
  std::string name;
  void (*run)();
};

std::vector<Test>& tests();

// Records one check of the running test; prints `what` the first few times it does not hold.
void check(bool holds, const char* what, const char* file, int line);

struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

// n uniform values over the whole range of the integer type T; the same on every machine.
template <class T>
std::vector<T> random_integers(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(engine());
  return values;
}

// n floats in [-1, 1), multiples of 2^-23; the same on every machine.
inline std::vector<float> random_floats(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(static_cast<int32_t>(engine()) >> 8) * 0x1p-23f;
  return values;
}

}  // namespace codeword::test

#define CHECK(condition) ::codeword::test::check(condition, #condition, __FILE__, __LINE__)
#define TEST(name)                                                                 \
  static void test_##name();                                                       \
  static const ::codeword::test::Registration register_##name(#name, test_##name); \
  static void test_##name()
