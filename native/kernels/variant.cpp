// All kernels for one ISA: compiled once per ISA with its flags and CODEWORD_ISA_NS set to its name. Everything but the
// table below sits in an unnamed namespace, so that no symbol compiled for a newer CPU can replace one of the baseline.
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_acle.h>
#include <arm_neon.h>
#endif

#include "kernels.h"

namespace codeword::CODEWORD_ISA_NS {
namespace {

#if __has_include("simd.h")
#include "simd.h"
#endif

#include "memory.h"

#include "bits.h"
#include "crc32c.h"
#include "hadamard.h"

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
#define KERNEL(name, what) .name = name,
#include "kernels.def"
#undef KERNEL
};

}  // namespace codeword::CODEWORD_ISA_NS
