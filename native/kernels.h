// Function types and argument structs of the kernels, and the table of them that every ISA exports.
// Kernels trust their arguments (Python and native/core check them), allocate nothing, throw nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace codeword {

// Rows to be added to the sums of their labels: sums[labels[i], j] += round(x[i, j] * weights[i] * scales[j]) for j <
// d, rounded to the nearest integer, ties to even. Given old_labels, rows whose label did not change are skipped and
// the others also subtracted from the sums of their old label. Scales are powers of two; no product reaches 2^51.
template <class T>
struct AccumulateRows {
  const T* x;
  int64_t x_stride, d;
  const T* weights;      // (n), or null for 1
  const double* scales;  // (d)
  const int32_t *labels, *old_labels;
  int64_t* sums;
  int64_t sums_stride;
};
using accumulate_fn = void(const AccumulateRows<float>& rows, int64_t n);
// The same of float64 rows and weights, whose product is rounded to float64 first.
using accumulate_wide_fn = void(const AccumulateRows<double>& rows, int64_t n);

// A filter's form of a codebook, and the constants of its error bound. See kernels/assign_prepare.h.
struct AssignFilter {
  void *panels, *offsets;
  float* scales;
  int32_t* corrections;
  double base, per_norm, per_residual;
};

// The int16 filter's: all rows and codewords on one grid.
struct AssignFilterS16 {
  int32_t *panels, *offsets, *pairs;  // pairs: as panels, codeword by codeword
  float *centre, scale;
  float base, per_norm;
};

// A codebook, or a part of one, prepared for `assign` of the same ISA. The caller sets the first five.
struct AssignCodebook {
  int64_t k, d;
  const float* codewords;  // (k, d)
  const double* wide;      // (k, d) of which `codewords` are the roundings, for float64 rows; null for float32 rows
  const int32_t* numbers;  // (k) rising: what codewords are called in labels; null for 0 .. k - 1
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
// distance. A codebook in several parts takes one call a part, all with the same `scores`, and all but the first with
// `merge`: the nearest codeword so far stays where it beats those of this part. Given float64 rows, and a codebook that
// has float64 codewords, those decide; x are the float32 roundings of the rows.
struct AssignRows {
  const float* x;
  int64_t x_stride;
  const double* wide;
  int64_t wide_stride;
  int32_t* labels;
  int64_t labels_stride;
  double* distances;
  int64_t distances_stride;
  double* scores;  // (n), or null for a codebook in one part
  bool merge;
};
// `scratch` is book.scratch_bytes long, 64-byte aligned, and nobody else's during the call.
using assign_fn = void(const AssignCodebook& book, const AssignRows& rows, int64_t n, void* scratch);

// How the float32 inner product g of a row x with the difference of a pair decides: the right codeword is nearer if
// g - threshold > base + per_norm |x|, the left one if it is below the negative of that; else the exact form is asked.
struct DescendBound {
  double threshold, base, per_norm;
};
// Binary trees of codewords (2 pairs, d), the two of a pair side by side. children[2 p + side] is the pair below, or
// the complement ~label of where the descent ends.
struct DescendTree {
  int64_t d;
  const float *codewords, *differences;  // (2 pairs, d), (pairs, d)
  const double* norms;                   // (2 pairs) <c, c>, in lane order
  const DescendBound* bounds;            // (pairs)
  const int32_t* children;               // (2 pairs)
};
// labels[i] = where the descent of x[i] ends that starts at the pair first[i] (null: at pair 0) and takes the right
// codeword where it is nearer, by the score that assign_fn compares, else the left; distances[i], unless null, is the
// squared distance to the last codeword taken.
struct DescendRows {
  const float* x;
  int64_t x_stride;
  const int32_t* first;
  int32_t* labels;
  double* distances;
};
using descend_fn = void(const DescendTree& tree, const DescendRows& rows, int64_t n);

// low[j] and high[j] (d) become the lowest and the highest of themselves and the column j of n rows.
using column_range_fn = void(const float* x, int64_t stride, int64_t n, int64_t d, float* low, float* high);
// With y = (x - shift[j]) * scale[j] rounded to an integer, |y| <= 2^26, and y^2 = 2^26 u + v, |v| <= 2^25: the sums
// over n <= 2^26 rows of y, u and v, in the three rows of `sums` (3, d). Scales are powers of two.
using column_sums_fn = void(const float* x, int64_t stride, int64_t n, int64_t d, const double* shift,
                            const double* scale, double* sums);

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

// out[c] = <query, codeword c> in lane order, for the k columns of `columns` (d, step); step is k rounded up to 16 at
// least.
using products_fn = void(const float* query, const float* columns, int64_t d, int64_t k, int64_t step, double* out);

// out (n, 3) = <a, a>, <a, b>, <x, x> in lane order, where a = x - mean and b = y - mean for rows x and y (n, d).
using centred_sums_fn = void(const float* x, const float* y, const double* mean, int64_t n, int64_t d, double* out);

// indices (n, d): how many `thresholds` (d, 256) of a coordinate are below it. See kernels/levels.h for `affine` and
// `coarse`, which only help to find it; `fine` is `thresholds`, or null where the 15 of `coarse` are all.
using nearest_even_fn = void(const float* rows, int64_t n, int64_t d, const float* affine, int64_t step,
                             const float* thresholds, uint8_t* indices);
using nearest_sorted_fn = void(const float* rows, int64_t n, int64_t d, const float* coarse, const float* fine,
                               uint8_t* indices);

// sums (n, 32) = sum over t < count of the entries of table t that byte codes[i * stride + t] < size selects, for 32
// queries; added to what is there where `go_on`. `tables` (count, size, 32), lanes in the order of kernels/scan.h.
using scan_bytes_fn = void(const uint8_t* codes, int64_t n, int64_t stride, const uint16_t* tables, int64_t size,
                           int64_t count, bool go_on, int32_t* sums);
using scan_finish_fn = void(const int32_t* sums, int64_t n, int64_t queries, const float* scale, const float* bias,
                            float* out, int64_t step);

// sums (n, 4) of the products of int16 weights of four queries, or (n) of one, with the symbols of 2, 4 or 8 bits; and
// the two sums (n, 2) that norms need. `padded` bytes of every row are read. See kernels/fields.h.
using scan_fields_fn = void(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* weights, int64_t padded,
                            int bits, bool four, int32_t* sums);
using scan_squares_fn = void(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* linear,
                             const int16_t* curved, int64_t padded, int bits, int64_t* sums);

// Sign codes (kernels/signs.h): bits of rows with their sums (n, 2); sums (2, n, 32) of the weights of 64 queries over
// the set bits of codes from tables (count, 256, 64); sums (n) of one query, from its weights or its table (count,
// 256).
using sign_codes_fn = void(const float* x, int64_t n, int64_t d, uint8_t* codes, int64_t stride, double* sums);
using scan_signs_fn = void(const uint8_t* codes, int64_t n, int64_t stride, const uint8_t* tables, int64_t count,
                           bool go_on, int32_t* sums);
using scan_signs_one_fn = void(const uint8_t* codes, int64_t n, int64_t stride, const int8_t* weights,
                               const int16_t* table, int64_t count, int32_t* sums);

// Indices (n, d) of 2 to 8 bits a coordinate, the direction of whose odd integers is nearest to the row's, and sums
// (n, 2). See kernels/grid.h. With scratch null, returns the bytes of scratch it wants and does nothing else.
using grid_codes_fn = int64_t(const float* x, int64_t n, int64_t d, int bits, uint8_t* indices, double* sums,
                              void* scratch);

// Leaders of a lattice code, at most 32, and the numbering of the vectors they stand for (core/lattice.h).
struct OrbitBook {
  int64_t m;
  const int32_t* pairs;     // (m, 4): coordinates 2 k and, in the upper half, 2 k + 1
  const int32_t* against;   // (m): -|L|^2 and, in the upper half, what a wrong number of minus signs costs: -2 L[7]
  const uint8_t* parities;  // (m): 0 any signs; 1, 2 an even, an odd number of minus signs
  const uint8_t* ends;      // (m, 3): where the first three groups of equal coordinates end, 8 where there are fewer
  const uint8_t* nonzero;   // (m)
  const uint8_t* ranks;     // (256): how many smaller bytes have as many ones
  const int32_t *counts, *firsts;  // (m, 3): what the rank of each group is worth; (m)
};
// Blocks of eight in one or two stages; all first symbols of a code, then all second ones.
struct LatticeCode {
  int64_t blocks;
  int64_t bytes[2];        // of a symbol
  const int8_t* words[2];  // (256 or 65,536, 8)
  const int16_t* steps;    // of each first symbol
};
using whole_blocks_fn = void(const float* x, int64_t n, int64_t d, const float* mean, const float* inverse,
                             int64_t width, int32_t* y);
using orbit_encode_fn = void(const OrbitBook& book, const int32_t* y, const int32_t* steps, int64_t n,
                             uint16_t* symbols);
using orbit_values_fn = void(const LatticeCode& code, const uint8_t* codes, int64_t n, int16_t* values);
using dot_values_fn = void(const int16_t* values, int64_t n, int64_t width, const int16_t* weights, bool four,
                           int32_t* sums);
using value_norms_fn = void(const int16_t* values, int64_t n, int64_t width, const double* line, const double* square,
                            double* out);

// The positions, rising, of the values that are at most `limit`; returns how many.
using below_fn = int64_t(const float* values, int64_t n, float limit, int32_t* positions);

// values[i] = max(((values[i] + before) * factor[i] + term[i]) + after, floor), rounded at each step.
using rescale_fn = void(float* values, int64_t n, float before, const float* factor, const float* term, float after,
                        float floor);

// A bitshift trellis code of rows of d floats (docs/trellis.md). A code is a circular bit string; step t appends
// widths[t] bits and codes coordinates firsts[t] ... firsts[t + 1] - 1, none for the spare bits of the last byte. The
// index of a step is the last 8 bits, newest highest, xor folds[the 8 bits before]; coordinate j is then
// values[tables[j], index] * scales[j] + means[j] and goes to column columns[j].
// Metrics: an x becomes the level l nearest to (x - means[j]) * inverses[j] + 512, 0 <= l <= 1023, and costs
// costs[grids[j], l, index] for each index, here with the bits of the index reversed. Sums and metrics saturate at 255.
struct TrellisCode {
  int64_t d, steps, coordinates, code_size;
  int32_t window;         // bits that the index depends on, 8 to 16: folds has no others
  int32_t warm;           // steps on either side of the junction that the first pass searches; 0 tries all states there
  const uint8_t* folds;   // (256)
  const uint8_t* widths;  // (steps) 1 to 6
  const int32_t* firsts;  // (steps + 1)
  const int32_t* columns;                  // (coordinates)
  const uint8_t *tables, *grids;           // (coordinates)
  const float *means, *inverses, *scales;  // (coordinates)
  const int16_t* values;                   // (tables, 256)
  const uint8_t* costs;                    // (grids, 1024, 256)
  const float* fill;                       // (d) what columns that no coordinate codes decode to
  const void* reader;                      // what trellis_prepare made, the same for every ISA
};
// Fills `storage`, 64-byte aligned, with what decoding and trellis_dot need, and returns the bytes that takes; with
// null it does nothing else.
using trellis_prepare_fn = int64_t(const TrellisCode& code, void* storage);
// Codes of n rows: the path of least metric of a Viterbi search from the state before step 0 to the same state, which
// the first pass chooses (kernels/trellis_encode.h). With scratch null, returns the bytes of scratch it wants (64-byte
// aligned) and does nothing else.
using trellis_encode_fn = int64_t(const TrellisCode& code, const float* x, int64_t n, uint8_t* codes, void* scratch);
// Rows (n, d) of codes.
using trellis_decode_fn = int64_t(const TrellisCode& code, const uint8_t* codes, int64_t n, float* x, void* scratch);

// Sums over the coordinates of codes, not decoded: for query l < queries
//   sums[i, l] = sum over j of (values[tables[j], index] - 128) * weights[l, j] * 2^rise[j / 64]  modulo 2^32,
// (n) where there is one query, else (groups of 32 queries, n, 32), of which lanes beyond `queries` hold anything.
// `order` has the blocks of 64 coordinates by falling rise, down to 0. Tables for which values[index ^ periods[0]] =
// values[index] are faster, more so where that holds for both periods; these are different, or 0 where there are none.
struct TrellisScan {
  const uint8_t* values;  // (tables, 256)
  uint8_t periods[2];
  const int32_t* order;  // (blocks)
  const uint8_t* rise;   // (blocks)
  void* prepared;        // what trellis_scan_prepare made
};
// These fill `storage`, 64-byte aligned, and return the bytes that takes; with null they do nothing else. First tables,
// once for a code; then weights (queries, coordinates) of queries; then those of the queries `which` (count), side by
// side.
using trellis_scan_prepare_fn = int64_t(const TrellisCode& code, TrellisScan& scan, void* storage);
using trellis_scan_weights_fn = int64_t(const TrellisCode& code, const TrellisScan& scan, const int8_t* weights,
                                        int64_t queries, void* storage);
using trellis_scan_choose_fn = int64_t(const TrellisCode& code, const void* weights, const int32_t* which,
                                       int64_t count, void* storage);
// The sums, of the `queries` that were chosen. 64 bytes after the last of the n rows are read. With scratch null,
// returns the bytes of scratch it wants.
using trellis_scan_fn = int64_t(const TrellisCode& code, const TrellisScan& scan, const void* chosen, int64_t queries,
                                const uint8_t* codes, int64_t n, int32_t* sums, void* scratch);
// sums (queries, step), columns 0 ... n - 1: of values[tables[j], index] * weights[l, j], exact. Of both 16 bits;
// weights are at least -32767.
using trellis_dot_fn = int64_t(const TrellisCode& code, const uint8_t* codes, int64_t n, const int16_t* weights,
                               int64_t queries, int64_t* sums, int64_t step, void* scratch);

// A rotation of rows of d floats (codeword.transforms.rotation): steps of a permutation, row[j] = row[permutation[j]],
// where there is one, and windows, each multiplied by its signs and then Walsh-Hadamard transformed.
struct RotationWindow {
  int64_t start, length;  // length: 2^p
  const float* signs;     // (length)
};
struct RotationStep {
  const int32_t* permutation;  // (d) or null
  int64_t windows;
  RotationWindow window[2];
};
struct RotationPlan {
  int64_t d, steps;
  const RotationStep* steps_of;  // (steps)
};
// Rotates rows (n, d) in place, or back. With scratch null, returns the bytes of scratch it wants.
using rotate_rows_fn = int64_t(const RotationPlan& plan, float* rows, int64_t n, bool inverse, void* scratch);
// bytes (n, stride), stride >= d: x / scale rounded to the nearest, ties to even, and 0 from column d on; scales (n):
// the largest |x| of the row / 127, NaN where not all are finite; sums (n) of the bytes.
using round_rows_fn = void(const float* x, int64_t n, int64_t d, int8_t* bytes, int64_t stride, float* scales,
                           int32_t* sums);

// A matrix whose pieces, `height` rows by four columns, are trellis codes of 4 * height coordinates, row by row: levels
// are values[tables[j], index].
struct TrellisMatrix {
  const uint8_t* values;  // (tables, 256)
  uint8_t periods[2];     // as of TrellisScan
  void* prepared;         // what trellis_multiply_prepare made
};
constexpr int64_t kMatrixHeight = 128, kMatrixQueries = 192;  // the most
// sums (queries, step) += x (queries, stride) int8 times the levels of `blocks` pieces side by side, modulo 2^32; four
// columns of x each. Two bytes before the codes and 64 after them are read, and x up to a multiple of 16 rows and of 64
// columns, to no effect.
struct MatrixTask {
  const uint8_t* codes;
  int64_t blocks, queries;
  const int8_t* x;
  int64_t stride;
  int32_t* sums;
  int64_t step;
};
// As the functions of TrellisScan.
using trellis_multiply_prepare_fn = int64_t(const TrellisCode& code, TrellisMatrix& matrix, void* storage);
using trellis_multiply_fn = int64_t(const TrellisCode& code, const TrellisMatrix& matrix, const MatrixTask& task,
                                    void* scratch);

// Additive codes: a row is an offset plus one codeword of each of m codebooks. All in units of `scale`, a power of two
// that makes the longest codeword's norm about 1. Products 2 <y, c> are those of y and c rounded to int16, each in
// units of a power of two that makes its norm (c: the longest of its codebook) at most 2^15, so that sums stay below
// 2^31.
struct AdditiveCode {
  int64_t d, m, k, width;       // width: k rounded up to 16, 32 or a multiple of 64; beyond k, squares are infinite
  int64_t depth, beam, passes;  // stages a path may differ in, paths kept, passes over the stages
  bool resume;                  // go on from the indices given
  float scale;
  const float* offset;     // (d), scaled
  const float* codewords;  // (m, k, d), scaled
  const int32_t* panels;   // (m, width / block, ceil(d / 2), block) pairs of int16, block = min(width, 64)
  const float* steps;      // (m) 2 / units of the codebook
  const float* squares;    // (m, width)
  const float* cross;      // products of codewords c of stage s (k) with those of stage j (width), j - depth <= s < j:
                           // stage by stage j, the nearest s first
};
constexpr int64_t kMostPaths = 64, kMostDepth = 64;
// indices (n, m) of rows x (n, d). With scratch null, returns the bytes of scratch it wants (64-byte aligned) and does
// nothing else.
using additive_encode_fn = int64_t(const AdditiveCode& code, const float* x, int64_t n, uint32_t* indices,
                                   void* scratch);
// out (n, width) = 2 <y, c> with the codewords of stage j, rows y (n, d) scaled; scratch as above.
using additive_products_fn = int64_t(const AdditiveCode& code, int64_t j, const float* y, int64_t n, float* out,
                                     void* scratch);
// Rows x (n, d) = c_0 + c_1 + ... + offset, in this order.
using additive_decode_fn = void(const AdditiveCode& code, const uint32_t* indices, int64_t n, float* x);

// The kernels of one ISA.
struct Kernels {
#define KERNEL(name, what) name##_fn* name;
#include "kernels.def"
#undef KERNEL
};

}  // namespace codeword
