// Detection reads CPUID and XCR0 itself: the same code serves every compiler, and the OS must have switched the
// registers on (XCR0) before an ISA counts as there.
#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__) || defined(_M_X64)
#define CODEWORD_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#if defined(CODEWORD_HAS_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace codeword {

#define CODEWORD_DECLARE(isa)    \
  namespace isa {                \
  extern const Kernels kKernels; \
  }

#if CODEWORD_X86
CODEWORD_DECLARE(sse42)
CODEWORD_DECLARE(avx2)
CODEWORD_DECLARE(avx512)
CODEWORD_DECLARE(avx512vnni)
#if defined(CODEWORD_HAS_AMX)
CODEWORD_DECLARE(avx512amx)
#endif
#else
CODEWORD_DECLARE(neon)
#endif

namespace {

struct Variant {
  const char* name;
  const Kernels* table;
  bool available;
};

#if CODEWORD_X86

struct Registers {
  uint32_t a, b, c, d;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
#if defined(_MSC_VER)
  int r[4];
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {uint32_t(r[0]), uint32_t(r[1]), uint32_t(r[2]), uint32_t(r[3])};
#else
  Registers r{};
  __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
  return r;
#endif
}

uint64_t xcr0() {
#if defined(_MSC_VER) && !defined(__clang__)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
#endif
}

constexpr bool has(uint32_t reg, std::initializer_list<int> positions) {
  for (int bit : positions) {
    if (!(reg >> bit & 1)) return false;
  }
  return true;
}

// The levels of the x86-64 psABI, and on top of v4 what Ice Lake and Zen 4 both have.
struct Levels {
  bool v2 = false, v3 = false, v4 = false, vnni = false, amx = false;
};

// Asks the kernel for the matrix registers, for this process and its children; it may refuse.
bool may_use_tiles() {
#if defined(CODEWORD_HAS_AMX)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Levels detect_levels() {
  const uint32_t max_leaf = cpuid(0).a;
  const Registers one = cpuid(1);
  const Registers seven = max_leaf >= 7 ? cpuid(7) : Registers{};
  const Registers extended = cpuid(0x80000000).a >= 0x80000001 ? cpuid(0x80000001) : Registers{};
  const bool osxsave = has(one.c, {27});
  const uint64_t state = osxsave ? xcr0() : 0;
  const bool ymm = (state & 0x06) == 0x06, zmm = (state & 0xe6) == 0xe6;

  Levels levels;
  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF.
  levels.v2 = has(one.c, {0, 9, 13, 19, 20, 23}) && has(extended.c, {0});
  // FMA, MOVBE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT.
  levels.v3 = levels.v2 && ymm && has(one.c, {12, 22, 28, 29}) && has(seven.b, {3, 5, 8}) && has(extended.c, {5});
  // AVX-512 F, DQ, CD, BW, VL.
  levels.v4 = levels.v3 && zmm && has(seven.b, {16, 17, 28, 30, 31});
  // IFMA; VBMI, VBMI2, GFNI, VNNI, BITALG, VPOPCNTDQ.
  levels.vnni = levels.v4 && has(seven.b, {21}) && has(seven.c, {1, 6, 8, 11, 12, 14});
  // AMX-TILE, AMX-INT8; the registers of tiles switched on.
  levels.amx = levels.vnni && has(seven.d, {24, 25}) && (state & 0x60000) == 0x60000 && may_use_tiles();
  return levels;
}

std::vector<Variant> detect() {
  const Levels levels = detect_levels();
  return {
      {"sse42", &sse42::kKernels, levels.v2},          {"avx2", &avx2::kKernels, levels.v3},
      {"avx512", &avx512::kKernels, levels.v4},        {"avx512vnni", &avx512vnni::kKernels, levels.vnni},
#if defined(CODEWORD_HAS_AMX)
      {"avx512amx", &avx512amx::kKernels, levels.amx},
#endif
  };
}

#else

std::vector<Variant> detect() {
#if defined(__linux__)
  const bool crc32 = getauxval(AT_HWCAP) & (1ul << 7);  // HWCAP_CRC32
#else
  const bool crc32 = true;  // every Apple and Windows arm64 machine has it
#endif
  return {{"neon", &neon::kKernels, crc32}};
}

#endif

const std::vector<Variant>& variants() {
  static const std::vector<Variant> found = detect();
  return found;
}

std::atomic<const Variant*> active{nullptr};

const Variant* find(const std::string& name) {
  for (const Variant& variant : variants()) {
    if (variant.available && name == variant.name) return &variant;
  }
  return nullptr;
}

std::string listing() {
  std::string names;
  for (const std::string& name : available_isas()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::string describe_unknown(const std::string& name) {
  for (const Variant& variant : variants()) {
    if (name == variant.name) return "this machine cannot run ISA '" + name + "'; it has: " + listing();
  }
  return "unknown ISA '" + name + "'; this machine has: " + listing();
}

}  // namespace

const Kernels& kernels() { return *active.load(std::memory_order_acquire)->table; }

std::string isa() { return active.load(std::memory_order_acquire)->name; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Variant& variant : variants()) {
    if (variant.available) names.emplace_back(variant.name);
  }
  return names;
}

void set_isa(const std::string& name) {
  const Variant* variant = find(name);
  if (!variant) throw std::invalid_argument(describe_unknown(name));
  active.store(variant, std::memory_order_release);
}

void choose_isa() {
  const Variant* newest = nullptr;
  for (const Variant& variant : variants()) {
    if (variant.available) newest = &variant;
  }
  if (!newest) throw std::runtime_error("codeword needs a CPU with SSE4.2 and POPCNT (x86-64-v2), or Armv8 with CRC32");
  const char* forced = std::getenv("CODEWORD_ISA");
  if (forced && *forced) {
    newest = find(forced);
    if (!newest) throw std::runtime_error("CODEWORD_ISA: " + describe_unknown(forced));
  }
  active.store(newest, std::memory_order_release);
}

std::vector<std::string> kernel_names() {
  return {
#define KERNEL(name, what) #name,
#include "kernels.def"
#undef KERNEL
  };
}

}  // namespace codeword
