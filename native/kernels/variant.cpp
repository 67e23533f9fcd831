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

#include "simd.h"

#include "memory.h"

// Each of these builds on those above it.
// clang-format off
#include "exact.h"
#include "scores.h"
#include "assign_prepare.h"
#include "candidates.h"
#include "scratch.h"
#include "filter_f32.h"
#include "filter_s16.h"
#include "filter_s8.h"
#include "block.h"
#include "narrow_s16.h"
#include "words.h"
#include "trellis_bytes.h"
#include "trellis_step.h"
// clang-format on

#include "accumulate.h"
#include "additive.h"
#include "assign.h"
#include "bits.h"
#include "columns.h"
#include "crc32c.h"
#include "descend.h"
#include "fields.h"
#include "grid.h"
#include "hadamard.h"
#include "levels.h"
#include "orbits.h"
#include "pairwise.h"
#include "products.h"
#include "rotate.h"
#include "scan.h"
#include "signs.h"
#include "topk.h"
#include "trellis_decode.h"
#include "trellis_encode.h"
#include "trellis_look_up.h"
#include "trellis_scan.h"

#include "trellis_multiply.h"

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
#define KERNEL(name, what) .name = name,
#include "kernels.def"
#undef KERNEL
};

}  // namespace codeword::CODEWORD_ISA_NS
