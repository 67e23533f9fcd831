// Function types and argument structs of the kernels, and the table of them that every ISA exports.
// Kernels trust their arguments (Python and native/core check them), allocate nothing, throw nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace codeword {

// Rows to be added to the sums of their labels: sums[labels[i], j] += round(x[i, j] * weights[i] * scales[j]) for j <
// d, rounded to the nearest integer, ties to even. Given old_labels, rows whose label did not change are skipped and
// the others also subtracted from the sums of their old label. Scales are powers of two; no product reaches 2^51.
struct AccumulateRows {
  const float* x;
  int64_t x_stride, d;
  const float* weights;  // (n), or null for 1
  const double* scales;  // (d)
  const int32_t *labels, *old_labels;
  int64_t* sums;
  int64_t sums_stride;
};
using accumulate_fn = void(const AccumulateRows& rows, int64_t n);

// A filter's form of a codebook, and the constants of its error bound. See kernels/assign_prepare.h.
struct AssignFilter {
  void *panels, *offsets;
  float* scales;
  int32_t* corrections;
  double base, per_norm, per_residual;
};

// The int16 filter's: all rows and codewords on one grid.
struct AssignFilterS16 {
  int32_t *panels, *offsets;
  float *centre, scale;
  float base, per_norm;
};

// A codebook prepared for `assign` of the same ISA.
struct AssignCodebook {
  int64_t k, d;
  const float* codewords;  // (k, d); the caller sets these three
  double* norms;           // (k) <c, c>, in lane order
  float* centre;
  float scale;
  int64_t panel_vectors;
  AssignFilter f32, s8;
  AssignFilterS16 s16;
  bool has_s8, has_s16;
  int64_t scratch_bytes;
};
// Lays the codebook out in `storage`, 64-byte aligned, and fills it; returns the bytes that takes. With storage null it
// does nothing else.
using assign_prepare_fn = int64_t(AssignCodebook& book, void* storage);

// labels[i] = the nearest codeword of x[i], as ARCHITECTURE.md defines it; distances[i], unless null, its squared
// distance.
struct AssignRows {
  const float* x;
  int64_t x_stride;
  int32_t* labels;
  int64_t labels_stride;
  double* distances;
  int64_t distances_stride;
};
// `scratch` is book.scratch_bytes long, 64-byte aligned, and nobody else's during the call.
using assign_fn = void(const AssignCodebook& book, const AssignRows& rows, int64_t n, void* scratch);

// CRC of `data` (n bytes) continued from `crc`; the CRC of an empty prefix is 0.
using crc32c_fn = uint32_t(uint32_t crc, const uint8_t* data, size_t n);

// Each of `n` rows of `length` = 2^p floats becomes its Walsh-Hadamard transform: stages of butterflies (a + b, a - b)
// at distance 1, 2, 4, ..., length / 2 in that order, so every ISA rounds alike.
using hadamard_fn = void(float* rows, int64_t n, int64_t length);

// Row i of `codes` (code_size = ceil(sum(bits) / 8) bytes) holds, from its lowest bit upwards, the low bits[j] bits of
// indices[i, j] for j = 0 .. m - 1; 1 <= bits[j] <= 32. Spare bits are zero.
using pack_bits_fn = void(const uint32_t* indices, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size,
                          uint8_t* codes);
using unpack_bits_fn = void(const uint8_t* codes, const uint8_t* bits, int64_t n, int64_t m, int64_t code_size,
                            uint32_t* indices);

// out[i, j] of (n, k) for rows a (n, d) and b (k, d), all contiguous: exact.h's float64 sums in lane order.
using pairwise_dot_fn = void(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out);
using pairwise_sqdist_fn = void(const float* a, int64_t n, const float* b, int64_t k, int64_t d, double* out);

// The kernels of one ISA.
struct Kernels {
#define KERNEL(name, what) name##_fn* name;
#include "kernels.def"
#undef KERNEL
};

}  // namespace codeword
